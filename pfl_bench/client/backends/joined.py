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
    """The plans' clients behind one another, in batches of a multiple of ``UNIT`` samples and as many steps as the
    longest plan has: whose own is shorter has ``taken`` all that it takes by then, and repeats its last batch idly."""
    steps, taken = max(plan.steps for plan in plans), None
    if any(plan.taken is not None or plan.steps < steps for plan in plans):
        taken = np.concatenate([np.full(p.clients, p.steps) if p.taken is None else p.taken for p in plans])
    noise = (
        None
        if plans[0].noise is None
        else _widened(torch.cat([_lengthened(plan.noise, steps) for plan in plans if plan.noise is not None]))
    )
    sizes = np.concatenate(
        [np.concatenate([plan.sizes, np.repeat(plan.sizes[:, -1:], steps - plan.steps, axis=1)], 1) for plan in plans]
    )
    return BatchPlan(_widened(torch.cat([_lengthened(plan.indices, steps) for plan in plans])), sizes, noise, taken)


def _lengthened(indices: Tensor, steps: int) -> Tensor:
    """``[c, s, ...]`` with ``steps`` instead of s, by repeating the last."""
    missing = steps - indices.shape[1]
    return torch.cat([indices, indices[:, -1:].expand(-1, missing, -1, -1)], dim=1) if missing else indices


def _widened(indices: Tensor) -> Tensor:
    """``[..., B]`` padded by repeating the last, as ``plan_batches`` does."""
    missing = -indices.shape[-1] % UNIT
    last = indices[..., -1:].expand(*indices.shape[:-1], missing)
    return torch.cat([indices, last], dim=-1) if missing else indices


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
