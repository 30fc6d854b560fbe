"""Requests of several runs behind one another, and their answers taken apart."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from pfl_bench.client.batches import BatchPlan
from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import plain
from pfl_bench.client.requests import ComputeRequest, Trained, TrainRequest
from pfl_bench.data.pool import Pool

UNIT = 16
"""Numbers in 64 bytes: a cache line, and the widest vector register."""


@dataclass(frozen=True)
class Together:
    """How a back-end executes requests of several runs as one: those with equal keys, where the model allows it."""

    training_key: Callable[[ClientModel, Pool, TrainRequest], Hashable]
    computing_key: Callable[[ClientModel, ComputeRequest], Hashable]
    train: Callable[[ClientModel, Sequence[tuple[Pool, TrainRequest]]], list[Trained]]
    compute: Callable[[ClientModel, Sequence[tuple[Pool, ComputeRequest]]], list[tuple[Any, int]]]
    allowed: Callable[[ClientModel], bool]


def joined_plan(plans: Sequence[BatchPlan]) -> BatchPlan:
    """The plans' clients behind one another, in batches of a multiple of ``UNIT`` samples and with the steps of the
    longest plan. Others repeat their last batch idly: plans of different lengths have ``taken``."""
    steps, taken = max(plan.steps for plan in plans), None
    if any(plan.taken is not None for plan in plans):
        taken = np.concatenate([np.full(p.clients, p.steps) if p.taken is None else p.taken for p in plans])
    indices = _joined_indices([plan.indices for plan in plans], steps)
    noises = [plan.noise for plan in plans if plan.noise is not None]
    sizes = [np.pad(plan.sizes, ((0, 0), (0, steps - plan.steps), (0, 0)), mode="edge") for plan in plans]
    return BatchPlan(indices, np.concatenate(sizes), _joined_indices(noises, steps) if noises else None, taken)


def _joined_indices(parts: Sequence[Tensor], steps: int) -> Tensor:
    """``[c, s, draws, B]`` behind one another, longer and wider by repeating the last, as ``plan_batches`` does."""
    whole = torch.cat([_longer(part, 1, steps - part.shape[1]) for part in parts])
    return _longer(whole, -1, -whole.shape[-1] % UNIT)


def _longer(tensor: Tensor, dim: int, by: int) -> Tensor:
    last = tensor.narrow(dim, tensor.shape[dim] - 1, 1)
    return torch.cat([tensor, last.repeat_interleave(by, dim)], dim) if by else tensor


def rows_of(plans: Sequence[BatchPlan]) -> list[slice]:
    """Where each plan's clients are among all of them."""
    ends = np.cumsum([plan.clients for plan in plans]).tolist()
    return [slice(end - plan.clients, end) for end, plan in zip(ends, plans, strict=True)]


def joined(trees: Sequence[Any]) -> Any:
    """Trees of ``[c, ...]`` as one, of copies; every client's part of a leaf begins at a multiple of ``UNIT``."""
    flat = [pytree.tree_flatten(plain(tree)) for tree in trees]
    leaves = [
        _aligned(column) if isinstance(column[0], Tensor) else column[0]
        for column in zip(*(f[0] for f in flat), strict=True)
    ]
    return pytree.tree_unflatten(leaves, flat[0][1])


def _aligned(parts: Sequence[Tensor]) -> Tensor:
    shape = parts[0].shape[1:]
    size = shape.numel()
    if size % UNIT == 0:
        return torch.cat([part.contiguous() for part in parts])
    memory = parts[0].new_zeros(sum(len(part) for part in parts), size + -size % UNIT)
    whole, start = memory[:, :size].view(-1, *shape), 0
    for part in parts:
        whole[start : start + len(part)].copy_(part)
        start += len(part)
    return whole


def own_rows(tensor: Tensor, rows: slice) -> Tensor:
    """One run's part ``[c, ...]``, a copy."""
    return tensor[rows].clone(memory_format=torch.contiguous_format)


def cut(tree: Any, rows: slice) -> Any:
    """One run's part of a tree of ``[c, ...]``, copies."""
    return pytree.tree_map_only(Tensor, lambda leaf: own_rows(leaf, rows), tree)
