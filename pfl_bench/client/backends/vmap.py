"""Clients stacked: one batched computation per step instead of one per client.

The trainable parameters of all clients live in one tensor ``[c, P]`` per group of the optimiser, so that clipping and
SGD take a handful of calls per step instead of a handful per parameter, and a step's gradient arrives as one tensor.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from pfl_bench.client.batches import Batch, BatchPlan
from pfl_bench.client.losses import GradientRule, Loss, check_cost, check_step, scalar
from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import Params, Tensors, plain
from pfl_bench.client.requests import Served, Trained, TrainRequest
from pfl_bench.client.sgd import Sgd, flat_step_
from pfl_bench.data.pool import ImagePool, on_device

from .traced import TRACES

GATHER_VALUES = 2**22
"""Values gathered at a time: several small steps in one call, a big step alone."""

Flats = tuple[Tensor, ...]
"""One tensor ``[c, P]`` per group of parameters."""


@dataclass(frozen=True)
class Layout:
    """Where each trainable parameter lies in the flat tensors; per group the optimiser's figures, names and shapes."""

    groups: tuple[tuple[Sgd, tuple[str, ...], tuple[torch.Size, ...]], ...]

    @classmethod
    def of(cls, request: TrainRequest) -> "Layout":
        """The layout for a request's trainable parameters."""
        parts = request.sgd.parts(request.trainable)
        shapes = [tuple(request.params[name].shape[1:] for name in names) for _, names in parts]
        return cls(tuple((sgd, names, own) for (sgd, names), own in zip(parts, shapes, strict=True)))

    @property
    def names(self) -> frozenset[str]:
        """All trainable parameters."""
        return frozenset(name for _, names, _ in self.groups for name in names)

    def flatten(self, params: Tensors) -> Flats:
        """``[c, *shape]`` per name to ``[c, P]`` per group, copies."""
        return tuple(torch.cat([params[name].flatten(1) for name in names], dim=1) for _, names, _ in self.groups)

    def views(self, flats: Flats) -> dict[str, Tensor]:
        """``[c, P]`` per group to ``[c, *shape]`` per name, without a copy."""
        found = {}
        for flat, (_, names, shapes) in zip(flats, self.groups, strict=True):
            parts = torch.split(flat, [shape.numel() for shape in shapes], dim=1)  # type: ignore[no-untyped-call]
            for name, shape, part in zip(names, shapes, parts, strict=True):
                found[name] = part.view(len(part), *shape) if len(shape) != 1 else part
        return found


@dataclass(frozen=True)
class Direction:
    """What SGD descends in one step, for all clients at once. Equal values are the same function."""

    model: ClientModel
    layout: Layout
    loss: Loss
    rule: GradientRule | None

    @classmethod
    def of(cls, model: ClientModel, request: TrainRequest) -> "Direction":
        """The direction that a request asks for."""
        return cls(model, Layout.of(request), request.loss, request.rule)

    def __call__(
        self, flats: Flats, fixed: Mapping[str, Tensor], batches: tuple[Batch, ...], aux: Any, carry: Any
    ) -> tuple[Flats, Any, Tensor, dict[str, Tensor]]:
        """From parameters ``[c, P]``, untrained ones ``[c, ...]`` and batches ``[c, B, ...]``: the direction, carry,
        losses ``[c]`` and moved buffers ``[c, ...]``."""
        if self.rule is None:
            found, losses, buffers = self._gradient(flats, fixed, batches[0], aux)
            return found, carry, losses, buffers
        return self._ruled({**fixed, **self.layout.views(flats)}, batches, aux, carry)

    def _gradient(
        self, flats: Flats, fixed: Mapping[str, Tensor], batch: Batch, aux: Any
    ) -> tuple[Flats, Tensor, dict[str, Tensor]]:
        """Clients share nothing, so the gradient of the sum of their losses holds each client's own gradient.

        One ordinary backward pass through the batched forward is cheaper than a second ``torch.func`` level.
        """
        leaves = tuple(flat.detach().requires_grad_() for flat in flats)

        def loss(own: Any, own_batch: Batch, own_aux: Any) -> tuple[Tensor, dict[str, Tensor]]:
            net = self.model.training(own_batch, own, padded=True)
            return scalar(self.loss(net, own, own_batch, own_aux), self.loss), net.buffers

        params = {**fixed, **self.layout.views(leaves)}
        losses, buffers = torch.func.vmap(loss, in_dims=(0, _axes(batch), _axes(aux)))(params, batch, aux)
        found = torch.autograd.grad(losses.sum(), leaves, materialize_grads=True)
        return found, losses.detach(), {name: tensor.detach() for name, tensor in buffers.items()}

    def _ruled(
        self, params: dict[str, Tensor], batches: tuple[Batch, ...], aux: Any, carry: Any
    ) -> tuple[Flats, Any, Tensor, dict[str, Tensor]]:
        rule = self.rule
        assert rule is not None

        def one_client(own: Any, own_batches: tuple[Batch, ...], own_aux: Any, own_carry: Any) -> Any:
            first: list[tuple[Tensor, dict[str, Tensor]]] = []

            def gradient(at: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
                every = {**own, **at}

                def loss(moved: Any) -> tuple[Tensor, tuple[Tensor, dict[str, Tensor]]]:
                    net = self.model.training(batch, own, padded=True)
                    value = scalar(self.loss(net, {**every, **moved}, batch, own_aux), self.loss)
                    return value, (value, net.buffers)

                moved = {name: every[name] for name in sorted(self.layout.names, key=list(own).index)}
                found, seen = torch.func.grad(loss, has_aux=True)(moved)
                first.append(seen)
                return found  # type: ignore[no-any-return]

            trained = {name: own[name] for name in own if name in self.layout.names}
            direction, carried = check_step(
                rule, trained, own_carry, rule(gradient, trained, own_batches, own_aux, own_carry)
            )
            check_cost(rule, len(first))
            return direction, () if carried is None else carried, *first[0]

        axes = (0, tuple(_axes(batch) for batch in batches), _axes(aux), _axes(carry))
        direction, carried, losses, buffers = torch.func.vmap(one_client, in_dims=axes)(params, batches, aux, carry)
        return self.layout.flatten(direction), carry if carry is None else carried, losses, buffers


def train(model: ClientModel, pool: ImagePool, request: TrainRequest) -> Trained:
    """Execute a request on all clients at once; short batches are padded and weighted 0."""
    direction = Direction.of(model, request)
    layout = direction.layout
    flats, momentum = layout.flatten(request.params), layout.flatten(request.momentum)
    fixed = {name: tensor for name, tensor in request.params.items() if name not in layout.names}
    aux, carry = plain(request.aux), plain(request.carry)
    taking = active_steps(request.plan)
    losses = []
    for step, batches in enumerate(_batches(pool, request.plan)):
        found = TRACES.call(direction, direction, flats, fixed, batches, aux, carry)
        active = None if taking is None else taking[:, step]
        carry, fixed, loss = advance_(layout, flats, momentum, carry, fixed, found, active)
        losses.append(loss)
    return unpacked(layout, request, flats, momentum, carry, fixed, torch.stack(losses, dim=1))


def advance_(
    layout: Layout, flats: Flats, momentum: Flats, carry: Any, fixed: dict[str, Tensor],
    found: tuple[Flats, Any, Tensor, dict[str, Tensor]], active: Tensor | None,
) -> tuple[Any, dict[str, Tensor], Tensor]:  # fmt: skip
    """Take a step in place; the new carry, fixed tensors and losses ``[c]``. ``active``: who takes it, None: all."""
    gradients, carried, losses, buffers = found
    kept = None if active is None else [tensor.clone() for tensor in (*flats, *momentum)]
    for (sgd, _, _), flat, gradient, buffer in zip(layout.groups, flats, gradients, momentum, strict=True):
        flat_step_(flat, gradient, buffer, sgd)
    if active is not None and kept is not None:
        for tensor, before in zip((*flats, *momentum), kept, strict=True):
            tensor.copy_(_where(active, tensor, before))
        carried = (
            pytree.tree_map(lambda new, old: _where(active, new, old), carried, carry) if carry is not None else None
        )
        buffers = {name: _where(active, tensor, fixed[name]) for name, tensor in buffers.items()}
        losses = torch.where(active, losses, torch.nan)
    return carried, {**fixed, **buffers}, losses


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


def padding(plan: BatchPlan) -> tuple[Tensor, Tensor]:
    """Batch indices cut to the longest real batch, ``[c, steps, draws, B]``, and weights of the same shape."""
    width = int(plan.sizes.max())
    indices = plan.indices[..., :width]
    weights = torch.from_numpy((np.arange(width) < plan.sizes[..., None]).astype(np.float32))
    return indices, on_device(weights, indices.device)


def _batches(pool: ImagePool, plan: BatchPlan) -> Iterator[tuple[Batch, ...]]:
    """The batches of every step, one per draw; samples are gathered for several steps at a time."""
    indices, weights = padding(plan)
    noise = None if plan.noise is None else plan.noise[..., : indices.shape[-1]]
    together = max(1, GATHER_VALUES // (pool.values * indices[:, 0].numel()))
    for first in range(0, plan.steps, together):
        x, y = pool.gather(indices[:, first : first + together])
        for step in range(x.shape[1]):
            yield tuple(
                Batch(x[:, step, d], y[:, step, d], weights[:, first + step, d],
                      None if noise is None else noise[:, first + step, d])
                for d in range(indices.shape[2])
            )  # fmt: skip


def _axes(tree: Any) -> Any:
    """Where the client axis is: the first, but for what is not there."""
    if isinstance(tree, Batch):
        return Batch(0, 0, 0, None if tree.noise is None else 0)  # type: ignore[arg-type]
    return None if tree is None else 0


def logits(model: ClientModel, served: Served, x: Tensor, counts: Tensor) -> Tensor:
    """Outputs ``[c, B, classes]`` of every client on its own samples ``[c, B, ...]``, all clients at once."""
    predict = served.predict

    def one(params: Any, own: Tensor, own_counts: Tensor, aux: Any) -> Tensor:
        net = model.evaluating(own_counts)
        return net(params, own) if predict is None else predict(net, params, own, aux)

    aux = plain(served.aux)
    found: Tensor = torch.func.vmap(one, in_dims=(0, 0, 0, _axes(aux)))(dict(served.params), x, counts, aux)
    return found
