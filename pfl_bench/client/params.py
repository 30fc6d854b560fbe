"""Parameters and method state as plain data.

``Params`` maps parameter names to tensors. *Shared* parameters have the shapes of the client model;
*stacked* parameters have a leading client axis, ``[clients, *shape]``.
"""

from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

Tensors = Mapping[str, Tensor]


class Params(dict[str, Tensor]):
    """A dictionary of tensors with the few operations that methods need. Order is definition order."""

    def __or__(self, other: Mapping[str, Tensor]) -> "Params":  # type: ignore[override]
        """Union; ``other`` wins where both have a name."""
        return Params({**self, **other})

    def map(self, function: Callable[[Tensor], Tensor]) -> "Params":
        """Apply a function to every tensor."""
        return Params({name: function(tensor) for name, tensor in self.items()})

    def only(self, names: Iterable[str]) -> "Params":
        """The parameters with these names."""
        wanted = set(names)
        return Params({name: tensor for name, tensor in self.items() if name in wanted})

    def without(self, names: Iterable[str]) -> "Params":
        """The parameters but for these names."""
        unwanted = set(names)
        return Params({name: tensor for name, tensor in self.items() if name not in unwanted})

    def rows(self, clients: Tensor) -> "Params":
        """Copy the rows of these clients out of stacked parameters: ``[n, ...] -> [c, ...]``."""
        return self.map(lambda tensor: tensor[clients])

    def set_rows(self, clients: Tensor, values: Tensors) -> None:
        """Write ``values`` (``[c, ...]``) into the rows of these clients, in place."""
        for name, tensor in self.items():
            tensor[clients] = values[name]


pytree.register_pytree_node(
    Params,
    lambda params: (list(params.values()), list(params)),
    lambda tensors, names: Params(zip(names, tensors, strict=True)),
)


class State(SimpleNamespace):
    """A method's state: tensors, ``Params``, plain values, and lists, dictionaries or States of them.

    Nothing else: that is what lets the engine checkpoint, resume and compare runs bit by bit.
    """


def stacked(params: Tensors, count: int) -> Params:
    """Shared parameters seen by ``count`` clients: ``[...] -> [count, ...]``, a view without copies."""
    return Params({name: tensor.unsqueeze(0).expand(count, *tensor.shape) for name, tensor in params.items()})


def zeros_like(params: Tensors) -> Params:
    """Zeros with the names, shapes, types and devices of ``params``."""
    return Params({name: torch.zeros_like(tensor) for name, tensor in params.items()})


def squared_distance(a: Tensors, b: Tensors) -> Tensor:
    """The scalar sum over the names of ``a`` of ``||a - b||**2``."""
    return torch.stack([(a[name] - b[name]).square().sum() for name in a]).sum()


def plain(tree: Any) -> Any:
    """Turn ``Params`` inside a tree into dictionaries, which is what ``torch.func`` looks into."""
    if isinstance(tree, Mapping):
        return {key: plain(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return tuple(plain(value) for value in tree)
    return tree
