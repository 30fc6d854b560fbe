"""Small steps are bound by Python. One that recurs is recorded as its tensor operations and replayed."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .lowered import lower
from .recorded import Replay, record

Function = Callable[..., Any]

_off = ContextVar("tracing is off", default=False)


@contextmanager
def untraced() -> Iterator[None]:
    """Within it every function runs as it is."""
    before = _off.set(True)
    try:
        yield
    finally:
        _off.reset(before)


@dataclass
class _Entry:
    calls: int = 0
    replay: Replay | None = None
    refused: bool = False


class TraceCache:
    """Traces by key and by the layout of the inputs; the least recently used are forgotten.

    ``warm_calls``: calls of a function before it is recorded. Recording takes as long as some fifteen calls of a small
    step, and a replay less than half as long as a call, so it pays within a client visit; what is called only once
    or twice is not worth it. ``lowered``: by faster operations, from the first call on (see ``lowered``).
    """

    def __init__(self, warm_calls: int = 2, kept: int = 64, *, lowered: bool = False) -> None:
        self.warm_calls, self.kept = 0 if lowered else warm_calls, kept
        self._lower = lower if lowered else None
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def traced(self) -> int:
        """How many of the functions are replayed as traces."""
        return sum(entry.replay is not None for entry in self._entries.values())

    def call(self, key: Hashable, function: Function, *trees: Any) -> Any:
        """``function(*trees)`` for trees of tensors. Equal keys promise the same pure function."""
        if _off.get():
            return function(*trees)
        leaves: list[Any] = []
        structure = _flatten(trees, leaves)
        entry = self._entry((key, structure, *[_kind(leaf) for leaf in leaves]))
        if entry.replay is not None:
            return entry.replay(*leaves)
        entry.calls += 1
        if entry.calls <= self.warm_calls or entry.refused:
            return function(*trees)
        try:
            found, entry.replay = record(function, trees, self._lower)
        except Exception:  # a branch on a tensor's value, say; what is wrong with the function itself comes up again
            entry.refused = True
            return function(*trees)
        return found

    def _entry(self, key: Hashable) -> _Entry:
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry()
            if len(self._entries) > self.kept:
                self._entries.popitem(last=False)
        self._entries.move_to_end(key)
        return entry


def _flatten(tree: Any, leaves: list[Any]) -> Hashable:
    """Append the tree's leaves, in the order of ``torch.utils._pytree``, and give what else it is made of.

    Of dictionaries, tuples and lists only, which is what requests are made of: a tenth of the time.
    """
    if isinstance(tree, dict):
        return (*tree, *[_flatten(value, leaves) for value in tree.values()])
    if isinstance(tree, tuple | list):
        return (type(tree), *[_flatten(value, leaves) for value in tree])
    leaves.append(tree)
    return None


def leaves_of(tree: Any) -> list[Any]:
    """What a tree of dictionaries, tuples and lists is made of."""
    leaves: list[Any] = []
    _flatten(tree, leaves)
    return leaves


def _kind(leaf: Any) -> Hashable:
    if isinstance(leaf, Tensor):
        return leaf.shape, leaf.stride(), leaf.dtype, leaf.device
    return type(leaf), leaf


TRACES = TraceCache()
"""The process's traces: runs with the same client model and loss share them."""

LOWERED = TraceCache(kept=256, lowered=True)
"""The same for runs in lock-step, all of whose stacked steps are lowered."""
