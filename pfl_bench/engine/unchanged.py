"""Noticing that a state was changed by code that must leave it as it is, without reading a number of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from pfl_bench.client.params import State

from .per_client import PerClient


def marks(tree: Any) -> list[object]:
    """What differs after anything in a state was replaced or written to: tensors by identity and version, personal
    state by its writes, plain values as they are."""
    return list(_marks(tree))


def _marks(tree: Any) -> Iterator[object]:
    if isinstance(tree, Tensor):
        yield id(tree), 0 if tree.is_inference() else tree._version
    elif isinstance(tree, PerClient):
        yield id(tree), tree.writes
    elif isinstance(tree, State):
        yield from _marks(vars(tree))
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield key
            yield from _marks(value)
    elif isinstance(tree, Sequence) and not isinstance(tree, str | bytes):
        yield len(tree)
        for value in tree:
            yield from _marks(value)
    else:
        yield tree
