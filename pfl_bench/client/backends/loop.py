"""Clients one after another: the reference that every other back-end is held to."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import Params, plain
from pfl_bench.client.training import Batch, Gradient, Trained, TrainRequest, sgd_step_
from pfl_bench.data.pool import ImagePool


def train(model: ClientModel, pool: ImagePool, request: TrainRequest) -> Trained:
    """Execute a request client by client."""
    each = [_train_one(model, pool, request, position) for position in range(len(request.plan.indices))]
    params, momentum, memory = (list(column) for column in zip(*each, strict=True))
    return Trained(_stack_params(params), _stack_params(momentum), _stack_trees(memory))


def _train_one(model: ClientModel, pool: ImagePool, request: TrainRequest, position: int) -> tuple[Params, Params, Any]:
    params = request.params.map(lambda tensor: _own(tensor[position]))
    momentum = request.momentum.map(lambda tensor: _own(tensor[position]))
    aux, memory = (
        pytree.tree_map(lambda leaf: leaf[position], plain(tree)) if tree is not None else None
        for tree in (request.aux, request.memory)
    )
    sizes = request.plan.sizes[position].tolist()

    def gradient(at: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        leaves = {name: at[name].detach().requires_grad_() for name in request.trainable}
        value = request.loss(model.apply, {**at, **leaves}, batch, aux)
        found = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
        return dict(zip(leaves, found, strict=True))

    for step in range(request.plan.steps):
        batches = []
        for draw, size in enumerate(sizes[step]):
            x, y = pool.gather(request.plan.indices[position, step, draw, :size])
            batches.append(Batch(x, y, torch.ones_like(y, dtype=x.dtype)))
        direction, memory = _direction(gradient, params, tuple(batches), aux, memory, request)
        sgd_step_(params, direction, momentum, request.sgd)
    return params, momentum, memory


def _own(tensor: Tensor) -> Tensor:
    return tensor.clone(memory_format=torch.contiguous_format)


def _direction(
    gradient: Gradient,
    params: Params,
    batches: tuple[Batch, ...],
    aux: Any,
    memory: Any,
    request: TrainRequest,
) -> tuple[Mapping[str, Tensor], Any]:
    if request.rule is None:
        return gradient(params, batches[0]), memory
    return request.rule(gradient, params, batches, aux, memory)


def _stack_params(rows: list[Params]) -> Params:
    return Params({name: torch.stack([row[name] for row in rows]) for name in rows[0]})


def _stack_trees(trees: list[Any]) -> Any:
    if trees[0] is None:
        return None
    return pytree.tree_map(lambda *leaves: torch.stack(leaves), *trees)


def logits(model: ClientModel, params: Params, x: Tensor) -> Tensor:
    """Logits of every client on its own images, one client at a time."""
    return torch.stack([model.apply({k: p[i] for k, p in params.items()}, x[i]) for i in range(len(x))])
