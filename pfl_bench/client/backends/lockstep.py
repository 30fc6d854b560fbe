"""Requests of several runs as one computation, and numbers that do not depend on who else is in it.

Matrix products of libraries depend, in the last bits, on where a matrix begins in memory. So each parameter, and
whatever else a client brings, begins at a multiple of ``UNIT`` numbers, and batches have a multiple of ``UNIT``
samples: then a client's arithmetic is the same whichever row it has and however many there are. A run alone is a
company of one.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import Params, plain
from pfl_bench.client.requests import ComputeRequest, Trained, TrainRequest
from pfl_bench.client.sgd import Sgd, clip_, fused_step_, norm_per_client
from pfl_bench.data.pool import Pool

from . import stacked_compute, traced
from .direction import Direction, Flats, Layout, figures_of
from .joined import UNIT, Together, cut, joined, joined_plan, own_rows, rows_of
from .vmap import Move, active_steps, advance_, batches_of, padding

SURELY = 0.99
"""Share of the norm that is clipped, below which the factor is 1 whatever the rounding: clipping one client's gradient
must not change another's."""


def train(model: ClientModel, pool: Pool, request: TrainRequest) -> Trained:
    """Execute one run's request."""
    return train_together(model, [(pool, request)])[0]


def compute(model: ClientModel, pool: Pool, request: ComputeRequest) -> tuple[Any, int]:
    """Execute one run's request."""
    return compute_together(model, [(pool, request)])[0]


def independent(model: ClientModel) -> bool:
    """Whether a client's numbers do not depend on company. Those of a convolution do: one client's is another kernel
    than that of several."""
    return not (model.convolutional or model.mixes_samples)


def training_key(model: ClientModel, request: TrainRequest) -> Hashable:
    """Requests with equal keys can be executed together; figures of SGD, data, and steps taken may differ.

    Where clients take steps of their own (``taken``), so may the plans' lengths: stragglers end a round at any step.
    """
    kinds = [_kinds(tree) for tree in (request.params, request.momentum, request.aux, request.carry)]
    plan = request.plan
    shape = (plan.steps if plan.taken is None else None, *plan.indices.shape[2:])
    return (model, request.loss, request.rule, _layout(request), *kinds, shape, plan.noise is None)


def computing_key(model: ClientModel, request: ComputeRequest) -> Hashable:
    """As ``training_key``."""
    how = request.function, request.models, request.reduce, request.gradients
    return (model, *how, _kinds(request.params), _kinds(request.aux), request.plan.indices.shape[1:])


def _layout(request: TrainRequest) -> Layout:
    return Layout.of(request, UNIT)


def _kinds(tree: Any) -> Hashable:
    """What a tree of ``[c, ...]`` is, but for the clients."""
    leaves, structure = pytree.tree_flatten(plain(tree))
    return structure, tuple((leaf.shape[1:], leaf.dtype) if isinstance(leaf, Tensor) else leaf for leaf in leaves)


def train_together(model: ClientModel, parts: Sequence[tuple[Pool, TrainRequest]]) -> list[Trained]:
    """Execute requests of equal ``training_key`` as one; the answers in their order."""
    requests = [request for _, request in parts]
    first, rows = requests[0], rows_of([request.plan for request in requests])
    layout = _layout(first)
    direction = Direction.known(Direction(model, layout, first.loss, first.rule))
    pool, plan = _Pools.of(parts, rows), joined_plan([request.plan for request in requests])
    params, momentum = joined([r.params for r in requests]), joined([r.momentum for r in requests])
    aux, carry = (joined([getattr(r, name) for r in requests]) for name in ("aux", "carry"))
    flats, buffers = layout.flatten(params), layout.flatten(momentum)
    fixed = {name: tensor for name, tensor in params.items() if name not in layout.names}
    move = _descent(requests, rows, flats, buffers)
    taking, losses = active_steps(plan), []
    for step, batches in enumerate(batches_of(pool, plan, *padding(plan, plan.indices.shape[-1]))):
        found = traced.LOWERED.call(direction, direction, flats, fixed, batches, aux, carry)
        active = None if taking is None else taking[:, step]
        with torch.no_grad():
            carry, fixed, loss = advance_(move, flats, buffers, carry, fixed, found, active)
        losses.append(loss)
    moved, kept, lost = {**fixed, **layout.views(flats)}, layout.views(buffers), torch.stack(losses, dim=1)
    return [
        Trained(
            Params({name: own_rows(moved[name], own) for name in request.params}),
            Params({name: own_rows(kept[name], own) for name in request.momentum}),
            cut(carry, own),
            lost[own, : request.plan.steps].clone(),
        )
        for request, own in zip(requests, rows, strict=True)
    ]


def _descent(requests: Sequence[TrainRequest], rows: Sequence[slice], flats: Flats, momentum: Flats) -> Move:
    """Each run's rows move by its own figures; neighbours with the same go together."""
    each = [figures_of(request) for request in requests]
    groups = [_spans([figures[k] for figures in each], rows, flats[k], momentum[k]) for k in range(len(flats))]

    def move(gradients: Flats) -> None:
        for gradient, spans in zip(gradients, groups, strict=True):
            gradient = gradient.contiguous()
            clips = {sgd.clip_norm for sgd, *_ in spans}
            if len(clips) == 1:
                _clip_(gradient, clips.pop())
            for sgd, span, flat, buffers in spans:
                own = gradient[span] if len(spans) > 1 else gradient
                if len(clips) > 1:
                    _clip_(own, sgd.clip_norm)
                fused_step_(flat, [own], buffers, sgd)

    return move


def _clip_(gradient: Tensor, most: float | None) -> None:
    """``clip_`` without a pass over memory where nobody's ``[c, P]`` is near the norm that is clipped."""
    if most is None:
        return
    norms = norm_per_client([gradient])
    if not norms.amax().item() < SURELY * most:
        clip_([gradient], most, lambda _: norms)


def _spans(
    figures: Sequence[Sgd], rows: Sequence[slice], flat: Tensor, momentum: Tensor
) -> list[tuple[Sgd, slice, list[Tensor], list[Tensor]]]:
    """Rows that move by the same figures, with their memory."""
    found = []
    for sgd, several in groupby(zip(figures, rows, strict=True), key=lambda pair: pair[0]):
        own = [span for _, span in several]
        span = slice(own[0].start, own[-1].stop)
        found.append((sgd, span, [flat[span]], [momentum[span]] if sgd.momentum else []))
    return found


def compute_together(model: ClientModel, parts: Sequence[tuple[Pool, ComputeRequest]]) -> list[tuple[Any, int]]:
    """Execute requests of equal ``computing_key`` as one; the answers in their order."""
    requests = [request for _, request in parts]
    plans = [request.plan for request in requests]
    rows, shape = rows_of(plans), plans[0].indices.shape
    params, aux = Params(joined([r.params for r in requests])), joined([r.aux for r in requests])
    whole = replace(requests[0], params=params, plan=joined_plan(plans), aux=aux)
    found, passes = stacked_compute.compute(model, _Pools.of(parts, rows), whole)
    if whole.reduce == "rows":  # without the rows of the batches' padding
        axis, length = (1 if whole.models is None else 2), shape[1] * shape[3]
        found = pytree.tree_map(lambda leaf: leaf.narrow(axis, 0, length), found)
    return [(cut(found, own), passes) for own in rows]


@dataclass(frozen=True)
class _Pools:
    """The pools of several runs, read as one by rows: ``indices`` ``[c, ...]``."""

    parts: tuple[tuple[Pool, slice], ...]

    @classmethod
    def of(cls, parts: Sequence[tuple[Pool, Any]], rows: Sequence[slice]) -> "Pool":
        """One pool, if all are of the same memory."""
        pools = [pool for pool, _ in parts]
        same = len({pool.key for pool in pools}) == 1
        return pools[0] if same else cls(tuple(zip(pools, rows, strict=True)))  # type: ignore[return-value]

    @property
    def values(self) -> int:
        return self.parts[0][0].values

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        found = [pool.gather(indices[own]) for pool, own in self.parts]
        x, y = (torch.cat(column) for column in zip(*found, strict=True))
        return x, y


TOGETHER = Together(
    lambda model, pool, request: training_key(model, request),
    computing_key,
    train_together,
    compute_together,
    independent,
)
"""On a CPU: the numbers are those of each run alone."""
