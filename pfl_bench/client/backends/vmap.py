"""Clients stacked: one batched computation per step instead of one per client.

The trainable parameters of all clients live in one tensor ``[c, P]``, so that clipping and SGD take a handful of
calls per step instead of a handful per parameter, and a step's gradient arrives as one tensor.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import Params, Tensors, plain
from pfl_bench.client.training import Batch, GradientRule, Loss, Sgd, Trained, TrainRequest, descend_
from pfl_bench.data.pool import ImagePool, on_device

from .traced import TRACES

GATHER_VALUES = 2**22
"""Pixels gathered at a time: several small steps in one call, a big step alone."""


@dataclass(frozen=True)
class Layout:
    """Where each trainable parameter lies in the flat tensor; the unclipped ones come last."""

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    clipped: int

    @classmethod
    def of(cls, request: TrainRequest) -> "Layout":
        """The layout for a request's trainable parameters."""
        names = sorted(request.trainable, key=lambda name: name in request.sgd.unclipped)
        shapes = tuple(request.params[name].shape[1:] for name in names)
        sizes = [s.numel() for n, s in zip(names, shapes, strict=True) if n not in request.sgd.unclipped]
        return cls(tuple(names), shapes, sum(sizes))

    def flatten(self, params: Tensors) -> Tensor:
        """``[c, *shape]`` per name to ``[c, P]``, a copy."""
        return torch.cat([params[name].flatten(1) for name in self.names], dim=1)

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """``[c, P]`` to ``[c, *shape]`` per name, without a copy."""
        parts = torch.split(flat, [shape.numel() for shape in self.shapes], dim=1)  # type: ignore[no-untyped-call]
        return {
            name: part.view(len(part), *shape) if len(shape) != 1 else part
            for name, shape, part in zip(self.names, self.shapes, parts, strict=True)
        }


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
        self, flat: Tensor, fixed: Mapping[str, Tensor], batches: tuple[Batch, ...], aux: Any, memory: Any
    ) -> tuple[Tensor, Any]:
        """From parameters ``[c, P]``, untrained ones ``[c, ...]`` and batches ``[c, B, ...]``: ``[c, P]``, memory."""
        if self.rule is None:
            return self._gradient(flat, fixed, batches[0], aux), memory
        found, memory = self._ruled({**fixed, **self.layout.views(flat)}, batches, aux, memory)
        return self.layout.flatten(found), memory

    def _gradient(self, flat: Tensor, fixed: Mapping[str, Tensor], batch: Batch, aux: Any) -> Tensor:
        """Clients share nothing, so the gradient of the sum of their losses holds each client's own gradient.

        One ordinary backward pass through the batched forward is cheaper than a second ``torch.func`` level.
        """
        leaf = flat.detach().requires_grad_()

        def loss(own: Any, own_batch: Batch, own_aux: Any) -> Tensor:
            return self.loss(self.model.apply, own, own_batch, own_aux)

        params = {**fixed, **self.layout.views(leaf)}
        losses = torch.func.vmap(loss, in_dims=(0, 0, _axis(aux)))(params, batch, aux)
        (found,) = torch.autograd.grad(losses.sum(), [leaf])
        return found

    def _ruled(self, params: dict[str, Tensor], batches: tuple[Batch, ...], aux: Any, memory: Any) -> tuple[Any, Any]:
        rule = self.rule
        assert rule is not None

        def one_client(own: Any, own_batches: tuple[Batch, ...], own_aux: Any, own_memory: Any) -> Any:
            def gradient(at: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
                def loss(moved: Any) -> Tensor:
                    return self.loss(self.model.apply, {**at, **moved}, batch, own_aux)

                found: dict[str, Tensor] = torch.func.grad(loss)({name: at[name] for name in self.layout.names})
                return found

            direction, remembered = rule(gradient, own, own_batches, own_aux, own_memory)
            return direction, () if remembered is None else remembered

        stepped = torch.func.vmap(one_client, in_dims=(0, 0, _axis(aux), _axis(memory)))
        direction, remembered = stepped(params, batches, aux, memory)
        return direction, memory if memory is None else remembered


def train(model: ClientModel, pool: ImagePool, request: TrainRequest) -> Trained:
    """Execute a request on all clients at once; short batches are padded and weighted 0."""
    direction = Direction.of(model, request)
    layout = direction.layout
    flat, momentum = layout.flatten(request.params), layout.flatten(request.momentum)
    fixed = {name: tensor for name, tensor in request.params.items() if name not in layout.names}
    aux, memory = plain(request.aux), plain(request.memory)
    for batches in _batches(pool, request):
        gradient, memory = TRACES.call(direction, direction, flat, fixed, batches, aux, memory)
        sgd_step_(flat, gradient, momentum, request.sgd, layout.clipped)
    return unpacked(layout, request, flat, momentum, memory)


def unpacked(layout: Layout, request: TrainRequest, flat: Tensor, momentum: Tensor, memory: Any) -> Trained:
    """Flat parameters and momentum as the answer to a request, in the request's order."""
    moved, buffers = layout.views(flat), layout.views(momentum)
    params = {
        name: moved[name].contiguous() if name in moved else tensor.clone() for name, tensor in request.params.items()
    }
    return Trained(Params(params), Params({name: buffers[name].contiguous() for name in request.momentum}), memory)


def padding(request: TrainRequest) -> tuple[Tensor, Tensor]:
    """Batch indices cut to the longest real batch, ``[c, steps, draws, B]``, and weights of the same shape."""
    width = int(request.plan.sizes.max())
    indices = request.plan.indices[..., :width]
    weights = torch.from_numpy((np.arange(width) < request.plan.sizes[..., None]).astype(np.float32))
    return indices, on_device(weights, indices.device)


def _batches(pool: ImagePool, request: TrainRequest) -> Iterator[tuple[Batch, ...]]:
    """The batches of every step, one per draw; images are gathered for several steps at a time."""
    indices, weights = padding(request)
    together = max(1, GATHER_VALUES // (pool.images[0].numel() * indices[:, 0].numel()))
    for first in range(0, request.plan.steps, together):
        x, y = pool.gather(indices[:, first : first + together])
        for step in range(x.shape[1]):
            draws = range(indices.shape[2])
            yield tuple(Batch(x[:, step, d], y[:, step, d], weights[:, first + step, d]) for d in draws)


def sgd_step_(flat: Tensor, gradient: Tensor, momentum: Tensor, spec: Sgd, clipped: int) -> None:
    """``training.sgd_step_`` on flat parameters ``[c, P]``, of which the first ``clipped`` are clipped, in place."""
    if spec.clip_norm is not None and clipped:
        part = gradient[:, :clipped]
        norms = torch.linalg.vector_norm(part, dim=1, keepdim=True)
        part.mul_((spec.clip_norm / (norms + 1e-6)).clamp_(max=1.0))
    descend_([flat], [gradient], [momentum if spec.momentum else None], spec)


def _axis(tree: Any) -> int | None:
    return None if tree is None else 0


def logits(model: ClientModel, params: Params, x: Tensor) -> Tensor:
    """Logits of every client on its own images, all clients at once."""
    found: Tensor = torch.func.vmap(model.apply)(dict(params), x)
    return found
