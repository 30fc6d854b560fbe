"""CUDA graphs: a piece of work is recorded once and replayed on the same memory, without Python in between.

Elsewhere "replaying" means doing the work again on the same memory, so that the CPU can test all but the capture.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

WARM_UPS = 3  # libraries set themselves up before a capture may begin (PyTorch's notes on CUDA graphs)


@dataclass(frozen=True)
class Recording:
    """``replay()`` does the recorded work again; it reads ``inputs`` and overwrites ``outputs``, both in place, and the
    tensors of others that are ``written``. ``work`` is kept for the tensors that it refers to: a graph reads them by
    their addresses, and does not keep them."""

    inputs: Any
    outputs: Any
    replay: Callable[[], None]
    written: tuple[Tensor, ...]
    work: Callable[[Any], Any]


def record(work: Callable[[Any], Any], inputs: Any, changed: Any, device: torch.device) -> Recording:
    """Record ``work(inputs)`` on copies of ``inputs``. Those of the tensors in ``changed`` that it writes to are put
    back; the others stay untouched, so that who looks on sees that nothing was written.

    ``inputs`` and what ``work`` returns are trees of tensors.
    """
    static = _map(torch.clone, inputs)
    before = [(tensor, tensor.clone()) for tensor in _tensors(changed)]
    if device.type == "cuda":
        outputs, replay = _capture(lambda: work(static))
    else:
        outputs = _map(torch.clone, work(static))

        def replay() -> None:
            overwrite(outputs, work(static))

    written = [(tensor, values) for tensor, values in before if not torch.equal(tensor, values)]
    for tensor, values in written:
        tensor.copy_(values)
    return Recording(static, outputs, replay, tuple(tensor for tensor, _ in written), work)


def _capture(work: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UPS):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = work()
    return outputs, graph.replay


def overwrite(target: Any, source: Any) -> None:
    """Copy a tree of tensors into another of the same structure, in place and without waiting."""
    for into, values in zip(_tensors(target), _tensors(source), strict=True):
        into.copy_(values, non_blocking=True)


@dataclass(frozen=True)
class Recordings:
    """Recordings by key; the least recently used are dropped, and their memory with them."""

    kept: int = 8
    _held: "OrderedDict[Hashable, Recording]" = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: Hashable, make: Callable[[], Recording]) -> Recording:
        """The recording under a key, made where there is none."""
        if key not in self._held:
            self._held[key] = make()
        self._held.move_to_end(key)
        if len(self._held) > self.kept:
            self._held.popitem(last=False)
        return self._held[key]

    def run(self, name: str, work: Callable[[Any, Any], Any], held: Any, inputs: Any, device: torch.device) -> Any:
        """``work(held, inputs)``, where ``held`` are tensors that ``work`` may change in place; returns fresh tensors.

        Recorded anew if ``held`` are other tensors than last time, or shapes differ.
        """
        key = (name, tuple(tensor.data_ptr() for tensor in _tensors(held)), shapes(inputs))
        recording = self.get(key, lambda: record(lambda given: work(held, given), inputs, held, device))
        overwrite(recording.inputs, inputs)
        recording.replay()
        torch.autograd.graph.increment_version(recording.written)  # a replayed graph writes unseen
        return _map(torch.clone, recording.outputs)


def shapes(tree: Any) -> Hashable:
    """What two trees must share to use one recording: structure, shapes and types."""
    leaves, structure = pytree.tree_flatten(tree)
    return structure, tuple((leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else leaf for leaf in leaves)


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def _map(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    return pytree.tree_map_only(Tensor, function, tree)
