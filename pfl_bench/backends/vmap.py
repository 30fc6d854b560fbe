"""Clients stacked: one batched computation per step instead of one per client.

The trainable parameters of all clients live in one tensor ``[c, P]``, so that clipping and SGD take a handful of
calls per step instead of a handful per parameter, and a step's gradient arrives as one tensor.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..client_model import ClientModel
from ..params import Params, Tensors, plain
from ..pool import ImagePool
from ..training import Batch, Sgd, Trained, TrainRequest

GATHER_VALUES = 2**22
"""Pixels gathered at a time: several small steps in one call, a big step alone."""


@dataclass(frozen=True)
class _Layout:
    """Where each trainable parameter lies in the flat tensor; the unclipped ones come last."""

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    clipped: int

    @classmethod
    def of(cls, request: TrainRequest) -> "_Layout":
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


def train(model: ClientModel, pool: ImagePool, request: TrainRequest) -> Trained:
    """Execute a request on all clients at once; short batches are padded and weighted 0."""
    layout = _Layout.of(request)
    flat, momentum = layout.flatten(request.params), layout.flatten(request.momentum)
    fixed = {name: tensor for name, tensor in request.params.items() if name not in layout.names}
    aux, memory = plain(request.aux), plain(request.memory)
    for batches in _batches(pool, request):
        if request.rule is None:
            direction = _plain_gradient(model, request, layout, flat, fixed, batches[0], aux)
        else:
            params = fixed | layout.views(flat)
            found, memory = _ruled_gradient(model, request, params, batches, aux, memory)
            direction = layout.flatten(found)
        with torch.no_grad():
            _sgd_step_(flat, direction, momentum, request.sgd, layout.clipped)
    moved, buffers = layout.views(flat), layout.views(momentum)
    params = {name: moved[name].contiguous() if name in moved else fixed[name].clone() for name in request.params}
    return Trained(Params(params), Params({name: buffers[name].contiguous() for name in request.momentum}), memory)


def _batches(pool: ImagePool, request: TrainRequest) -> Iterator[tuple[Batch, ...]]:
    """The batches of every step, one per draw; images are gathered for several steps at a time."""
    width = int(request.plan.sizes.max())
    indices = request.plan.indices[..., :width]
    weights = (torch.arange(width) < request.plan.sizes[..., None]).to(indices.device, torch.float32)
    together = max(1, GATHER_VALUES // (pool.images[0].numel() * indices[:, 0].numel()))
    for first in range(0, request.plan.steps, together):
        x, y = pool.gather(indices[:, first : first + together])
        for step in range(x.shape[1]):
            draws = range(indices.shape[2])
            yield tuple(Batch(x[:, step, d], y[:, step, d], weights[:, first + step, d]) for d in draws)


def _sgd_step_(flat: Tensor, gradient: Tensor, momentum: Tensor, spec: Sgd, clipped: int) -> None:
    """``training.sgd_step_`` on flat parameters ``[c, P]``, of which the first ``clipped`` are clipped, in place."""
    if spec.clip_norm is not None and clipped:
        part = gradient[:, :clipped]
        norms = torch.linalg.vector_norm(part, dim=1, keepdim=True)
        part.mul_((spec.clip_norm / (norms + 1e-6)).clamp_(max=1.0))
    if spec.weight_decay:
        gradient.add_(flat, alpha=spec.weight_decay)
    if spec.momentum:
        gradient = momentum.mul_(spec.momentum).add_(gradient)
    flat.sub_(gradient, alpha=spec.lr)


def _axis(tree: Any) -> int | None:
    return None if tree is None else 0


def _plain_gradient(
    model: ClientModel,
    request: TrainRequest,
    layout: _Layout,
    flat: Tensor,
    fixed: Mapping[str, Tensor],
    batch: Batch,
    aux: Any,
) -> Tensor:
    """Clients share nothing, so the gradient of the sum of their losses holds each client's own gradient.

    One ordinary backward pass through the batched forward is cheaper than a second ``torch.func`` level.
    """
    leaf = flat.detach().requires_grad_()

    def loss(own: Any, own_batch: Batch, own_aux: Any) -> Tensor:
        return request.loss(model.apply, own, own_batch, own_aux)

    params = {**fixed, **layout.views(leaf)}
    losses = torch.func.vmap(loss, in_dims=(0, 0, _axis(aux)))(params, batch, aux)
    (found,) = torch.autograd.grad(losses.sum(), [leaf])
    return found


def _ruled_gradient(
    model: ClientModel,
    request: TrainRequest,
    params: dict[str, Tensor],
    batches: tuple[Batch, ...],
    aux: Any,
    memory: Any,
) -> tuple[Mapping[str, Tensor], Any]:
    rule = request.rule
    assert rule is not None

    def one_client(own: Any, own_batches: tuple[Batch, ...], own_aux: Any, own_memory: Any) -> Any:
        def gradient(at: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
            def loss(moved: Any) -> Tensor:
                return request.loss(model.apply, {**at, **moved}, batch, own_aux)

            found: dict[str, Tensor] = torch.func.grad(loss)({name: at[name] for name in request.trainable})
            return found

        direction, remembered = rule(gradient, own, own_batches, own_aux, own_memory)
        return direction, () if remembered is None else remembered

    stepped = torch.func.vmap(one_client, in_dims=(0, 0, _axis(aux), _axis(memory)))
    direction, remembered = stepped(params, batches, aux, memory)
    return direction, memory if memory is None else remembered


def logits(model: ClientModel, params: Params, x: Tensor) -> Tensor:
    """Logits of every client on its own images, all clients at once."""
    found: Tensor = torch.func.vmap(model.apply)(dict(params), x)
    return found
