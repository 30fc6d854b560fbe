"""How much a method keeps between rounds."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from pfl_bench.client.params import State

from .per_client import PerClient


def state_sizes(state: State) -> tuple[int, int]:
    """Numbers that a state keeps for each client (one row of every ``PerClient``, wherever it lies), and all others.

    >>> import torch
    >>> state_sizes(State(server=torch.zeros(7), heads=PerClient({"w": torch.zeros(3)}, clients=100), round=1))
    (3, 7)
    """
    return _sizes(vars(state))


def _sizes(tree: Any) -> tuple[int, int]:
    if isinstance(tree, PerClient):
        return sum(tensor.numel() for tensor in tree.default.values()), 0
    if isinstance(tree, Tensor):
        return 0, tree.numel()
    if isinstance(tree, State):
        return state_sizes(tree)
    inner = tree.values() if isinstance(tree, Mapping) else tree
    if isinstance(inner, str) or not isinstance(tree, Mapping | Sequence):
        return 0, 0
    sizes = [_sizes(item) for item in inner]
    return sum(own for own, _ in sizes), sum(shared for _, shared in sizes)
