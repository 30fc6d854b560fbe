"""Clients stacked: one batched computation per step instead of one per client.

The trainable parameters of all clients live in one tensor ``[c, P]`` per group of the optimiser, so that clipping and
SGD take a handful of calls per step instead of a handful per parameter, and a step's gradient arrives as one tensor.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from pfl_bench.client.batches import Batch, BatchPlan
from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import Params, Tensors, plain
from pfl_bench.client.requests import Served, Trained, TrainRequest
from pfl_bench.client.sgd import Sgd, flat_step_
from pfl_bench.data.pool import Pool, on_device

from . import traced
from .direction import Direction, Flats, Layout, axes, figures_of

Move = Callable[[Flats], None]
"""Takes a step along gradients ``[c, P]`` per group of parameters, in place."""

GATHER_VALUES = 2**22
"""Values gathered at a time: several small steps in one call, a big step alone."""


def train(model: ClientModel, pool: Pool, request: TrainRequest) -> Trained:
    """Execute a request on all clients at once; short batches are padded and weighted 0."""
    direction = Direction.of(model, request)
    layout = direction.layout
    flats, momentum = layout.flatten(request.params), layout.flatten(request.momentum)
    move = descent(figures_of(request), flats, momentum)
    fixed = {name: tensor for name, tensor in request.params.items() if name not in layout.names}
    aux, carry = plain(request.aux), plain(request.carry)
    taking = active_steps(request.plan)
    losses = []
    for step, batches in enumerate(batches_of(pool, request.plan, *padding(request.plan))):
        found = traced.TRACES.call(direction, direction, flats, fixed, batches, aux, carry)
        active = None if taking is None else taking[:, step]
        carry, fixed, loss = advance_(move, flats, momentum, carry, fixed, found, active)
        losses.append(loss)
    return unpacked(layout, request, flats, momentum, carry, fixed, torch.stack(losses, dim=1))


def descent(figures: Sequence[Sgd], flats: Flats, momentum: Flats) -> Move:
    """The step of SGD, with figures per group of parameters."""

    def move(gradients: Flats) -> None:
        for sgd, flat, gradient, buffer in zip(figures, flats, gradients, momentum, strict=True):
            flat_step_(flat, gradient, buffer, sgd)

    return move


def advance_(
    move: Move, flats: Flats, momentum: Flats, carry: Any, fixed: dict[str, Tensor],
    found: tuple[Flats, Any, Tensor, dict[str, Tensor]], active: Tensor | None,
) -> tuple[Any, dict[str, Tensor], Tensor]:  # fmt: skip
    """Take a step in place; the new carry, fixed tensors and losses ``[c]``. ``active``: who takes it, None: all."""
    gradients, carried, losses, buffers = found
    if active is None:
        move(gradients)
        return carried, {**fixed, **buffers}, losses
    unmoved = idle_rows_unmoved if active.device.type == "cpu" else masked_unmoved
    with unmoved(active, (*flats, *momentum)):
        move(gradients)
    if carry is not None:
        carried = pytree.tree_map(lambda new, old: _where(active, new, old), carried, carry)
    buffers = {name: _where(active, tensor, fixed[name]) for name, tensor in buffers.items()}
    return carried, {**fixed, **buffers}, torch.where(active, losses, torch.nan)


@contextmanager
def idle_rows_unmoved(active: Tensor, tensors: Sequence[Tensor]) -> Iterator[None]:
    """Rows of clients that are not ``active`` are afterwards what they were: these rows alone are copied."""
    idle = (~active).nonzero().flatten()
    kept = [tensor[idle] for tensor in tensors]
    yield
    for tensor, before in zip(tensors, kept, strict=True):
        tensor.index_copy_(0, idle, before)


@contextmanager
def masked_unmoved(active: Tensor, tensors: Sequence[Tensor]) -> Iterator[None]:
    """As ``idle_rows_unmoved``, for a GPU: shapes that depend on values wait for it, and cannot be captured."""
    kept = [tensor.clone() for tensor in tensors]
    yield
    for tensor, before in zip(tensors, kept, strict=True):
        tensor.copy_(_where(active, tensor, before))


def _where(active: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(active.view(-1, *[1] * (new.dim() - 1)), new, old)


def active_steps(plan: BatchPlan) -> Tensor | None:
    """Which client takes which step, bool ``[c, steps]`` on the device; None where all take all."""
    if plan.taken is None:
        return None
    return on_device(torch.from_numpy(np.arange(plan.steps) < plan.taken[:, None]), plan.indices.device)


def unpacked(
    layout: Layout, request: TrainRequest, flats: Flats, momentum: Flats, carry: Any, fixed: Tensors, losses: Tensor
) -> Trained:
    """Flat parameters and momentum as the answer to a request, in the request's order."""
    moved, buffers = layout.views(flats), layout.views(momentum)
    params = {name: moved[name].contiguous() if name in moved else fixed[name].clone() for name in request.params}
    kept = {name: buffers[name].contiguous() for name in request.momentum}
    return Trained(Params(params), Params(kept), carry, losses)


def padding(plan: BatchPlan, width: int | None = None) -> tuple[Tensor, Tensor]:
    """Batch indices cut to a width, by default the longest real batch, ``[c, steps, draws, B]``; weights of that
    shape."""
    width = int(plan.sizes.max()) if width is None else width
    indices = plan.indices[..., :width]
    weights = torch.from_numpy((np.arange(width) < plan.sizes[..., None]).astype(np.float32))
    return indices, on_device(weights, indices.device)


def batches_of(pool: Pool, plan: BatchPlan, indices: Tensor, weights: Tensor) -> Iterator[tuple[Batch, ...]]:
    """The batches of every step, one per draw; samples are gathered for several steps at a time.

    ``indices``, ``weights``: ``padding`` of the plan.
    """
    noise = None if plan.noise is None else plan.noise[..., : indices.shape[-1]]
    together = max(1, GATHER_VALUES // (pool.values * indices[:, 0].numel()))
    for first in range(0, plan.steps, together):
        own = slice(first, first + together)
        x, y = pool.gather(indices[:, own])
        parts = [x, y, weights[:, own], *([] if noise is None else [noise[:, own]])]
        batches = [Batch(*each) for each in zip(*(part.flatten(1, 2).unbind(1) for part in parts), strict=True)]
        for step in range(0, len(batches), plan.draws):
            yield tuple(batches[step : step + plan.draws])


def logits(model: ClientModel, served: Served, x: Tensor, counts: Tensor) -> Tensor:
    """Outputs ``[c, B, classes]`` of every client on its own samples ``[c, B, ...]``, all clients at once."""
    predict = served.predict

    def one(params: Any, own: Tensor, own_counts: Tensor, aux: Any) -> Tensor:
        net = model.evaluating(own_counts)
        return net(params, own) if predict is None else predict(net, params, own, aux)

    aux = plain(served.aux)
    found: Tensor = torch.func.vmap(one, in_dims=(0, 0, 0, axes(aux)))(dict(served.params), x, counts, aux)
    return found
