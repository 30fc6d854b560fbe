"""Small steps are bound by Python. One that keeps recurring is traced into its tensor operations and replayed.

The operations are those that the function itself performs, so results are equal to the last bit.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

Function = Callable[..., Any]


@dataclass
class _Entry:
    calls: int = 0
    replay: Function | None = None
    traced: bool = False


class TraceCache:
    """Traces by key and by the layout of the inputs; the least recently used are forgotten.

    ``warm_calls``: calls of a function before it is traced. The first trace of a process loads two seconds'
    worth of modules, a later one takes about a tenth of a second.
    """

    def __init__(self, warm_calls: int = 1000, kept: int = 32) -> None:
        self.warm_calls, self.kept = warm_calls, kept
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def traced(self) -> int:
        """How many of the functions are replayed as traces."""
        return sum(entry.traced for entry in self._entries.values())

    def call(self, key: Hashable, function: Function, *trees: Any) -> Any:
        """``function(*trees)`` for trees of tensors. Equal keys promise the same pure function."""
        leaves, structure = pytree.tree_flatten(trees)
        entry = self._entry((key, structure, *(_kind(leaf) for leaf in leaves)))
        entry.calls += 1
        if entry.calls <= self.warm_calls:
            return function(*trees)
        if entry.replay is None:
            trace = _trace(function, trees)
            entry.replay, entry.traced = trace or function, trace is not None
        return entry.replay(*trees)

    def _entry(self, key: Hashable) -> _Entry:
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        if len(self._entries) > self.kept:
            self._entries.popitem(last=False)
        return entry


def _kind(leaf: Any) -> Hashable:
    return (leaf.shape, leaf.stride(), leaf.dtype) if isinstance(leaf, Tensor) else leaf


def _trace(function: Function, trees: tuple[Any, ...]) -> Function | None:
    """None for what cannot be traced (a branch on a tensor's value, say); it runs as it is."""
    try:
        module = make_fx(function)(*trees)
    except Exception:
        return None
    module.graph.eliminate_dead_code()
    module.recompile()
    return module.forward  # type: ignore[no-any-return]


TRACES = TraceCache()
"""The process's traces: runs with the same client model and loss share them."""
