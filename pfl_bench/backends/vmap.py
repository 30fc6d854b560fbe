"""Clients stacked: one batched computation per step instead of one per client."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..client_model import ClientModel
from ..params import Params, plain
from ..pool import ImagePool
from ..training import Batch, Trained, TrainRequest, sgd_step_


def train(model: ClientModel, pool: ImagePool, request: TrainRequest) -> Trained:
    """Execute a request on all clients at once; short batches are padded and weighted 0."""
    params = dict(request.params.map(torch.clone))
    momentum = request.momentum.map(torch.clone)
    aux, memory = plain(request.aux), plain(request.memory)
    width = int(request.plan.sizes.max())
    indices = request.plan.indices[..., :width]
    real = (torch.arange(width) < request.plan.sizes[..., None]).to(indices.device)
    for step in range(request.plan.steps):
        batches = []
        for draw in range(indices.shape[2]):
            x, y = pool.gather(indices[:, step, draw])
            batches.append(Batch(x, y, real[:, step, draw].to(x.dtype)))
        direction: Mapping[str, Tensor]
        if request.rule is None:
            direction = _plain_gradient(model, request, params, batches[0], aux)
        else:
            direction, memory = _ruled_gradient(model, request, params, tuple(batches), aux, memory)
        with torch.no_grad():
            sgd_step_(params, direction, momentum, request.sgd, client_axis=True)
    return Trained(Params(params), momentum, memory)


def _axis(tree: Any) -> int | None:
    return None if tree is None else 0


def _plain_gradient(
    model: ClientModel, request: TrainRequest, params: Mapping[str, Tensor], batch: Batch, aux: Any
) -> dict[str, Tensor]:
    """Clients share nothing, so the gradient of the sum of their losses holds each client's own gradient.

    One ordinary backward pass through the batched forward is cheaper than a second ``torch.func`` level.
    """
    leaves = {name: params[name].detach().requires_grad_() for name in request.trainable}

    def loss(own: Any, own_batch: Batch, own_aux: Any) -> Tensor:
        return request.loss(model.apply, own, own_batch, own_aux)

    losses = torch.func.vmap(loss, in_dims=(0, 0, _axis(aux)))({**params, **leaves}, batch, aux)
    found = torch.autograd.grad(losses.sum(), list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


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
