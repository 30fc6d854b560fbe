"""Clients one after another: the reference that every other back-end is held to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from pfl_bench.client.batches import Batch
from pfl_bench.client.losses import Gradient, Loss, check_cost, check_step, scalar
from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import Params, plain
from pfl_bench.client.requests import ComputeRequest, Served, Trained, TrainRequest
from pfl_bench.client.sgd import sgd_step_
from pfl_bench.data.pool import Pool

from . import traced


def train(model: ClientModel, pool: Pool, request: TrainRequest) -> Trained:
    """Execute a request client by client."""
    each = [_train_one(model, pool, request, position) for position in range(request.plan.clients)]
    params, momentum, carry, losses = (list(column) for column in zip(*each, strict=True))
    return Trained(_stack_params(params), _stack_params(momentum), _stack_trees(carry), torch.stack(losses))


def _train_one(
    model: ClientModel, pool: Pool, request: TrainRequest, position: int
) -> tuple[Params, Params, Any, Tensor]:
    params = request.params.map(lambda tensor: _own(tensor[position]))
    momentum = request.momentum.map(lambda tensor: _own(tensor[position]))
    aux, carry = _row(request.aux, position), _row(request.carry, position)
    slope, losses = _Slope(model, request.loss, request.trainable), list[Tensor]()
    for step in range(request.plan.steps_of(position)):
        seen = _Step(slope, params, aux)
        batches = _batches(pool, request, position, step)
        if request.rule is None:
            direction: Mapping[str, Tensor] = seen.gradient(params, batches[0])
        else:
            moved = {name: params[name] for name in request.trainable}
            direction, carry = check_step(
                request.rule, moved, carry, request.rule(seen.gradient, moved, batches, aux, carry)
            )
            check_cost(request.rule, seen.calls)
        losses.append(seen.loss)
        sgd_step_(params, direction, momentum, request.sgd)
        params.update(seen.buffers)
    none = [torch.tensor(torch.nan, device=pool.device)] * (request.plan.steps - len(losses))
    return params, momentum, carry, torch.stack([*losses, *none])


class _Step:
    """The request's gradient in one step, and what the first call of it saw: the loss, the buffers it moved."""

    def __init__(self, slope: "_Slope", params: Params, aux: Any) -> None:
        self.slope, self.params, self.aux = slope, dict(params), aux
        self.loss = torch.tensor(torch.nan)
        self.buffers: dict[str, Tensor] = {}
        self.calls = 0

    @property
    def gradient(self) -> Gradient:
        """As ``losses.Gradient``."""
        return self._gradient

    def _gradient(self, at: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        moved = {name: tensor for name, tensor in at.items() if self.params.get(name) is not tensor}
        found, loss, buffers = traced.TRACES.call(self.slope, self.slope, self.params, moved, batch, self.aux)
        if not self.calls:
            self.loss, self.buffers = loss, buffers
        self.calls += 1
        return dict(zip(self.slope.trainable, found, strict=True))


@dataclass(frozen=True)
class _Slope:
    """One client's gradient on one batch. Equal values are the same function."""

    model: ClientModel
    loss: Loss
    trainable: tuple[str, ...]

    def __call__(
        self, params: dict[str, Tensor], moved: Mapping[str, Tensor], batch: Batch, aux: Any
    ) -> tuple[tuple[Tensor, ...], Tensor, dict[str, Tensor]]:
        """At ``params``, but for those that ``moved``: per trainable name the gradient; the loss, moved buffers."""
        every = {**params, **moved}
        leaves = {name: every[name].detach().requires_grad_() for name in self.trainable}
        net = self.model.training(batch, params, padded=False)
        value = scalar(self.loss(net, {**every, **leaves}, batch, aux), self.loss)
        found = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
        return found, value.detach(), net.buffers


def _batches(pool: Pool, request: TrainRequest, position: int, step: int) -> tuple[Batch, ...]:
    plan, batches = request.plan, []
    for draw, size in enumerate(plan.sizes[position, step].tolist()):
        x, y = pool.gather(plan.indices[position, step, draw, :size])
        noise = None if plan.noise is None else plan.noise[position, step, draw, :size]
        batches.append(Batch(x, y, torch.ones_like(y, dtype=torch.float32), noise))
    return tuple(batches)


def compute(model: ClientModel, pool: Pool, request: ComputeRequest) -> tuple[Any, int]:
    """Execute a request client by client; the result, and how often a sample passed through the model, at least 1."""
    passes, each = 1, []
    for position in range(request.plan.clients):
        own, found = _row(dict(request.params), position), []
        for chunk, size in enumerate(request.plan.sizes[position, :, 0].tolist()):
            if not size:
                continue
            x, y = pool.gather(request.plan.indices[position, chunk, 0, :size])
            batch = Batch(x, y, torch.ones(size, device=y.device))
            results = []
            for k in range(request.models or 1):
                net = model.computing(None, request.gradients)
                params = own if request.models is None else _row(own, k)
                results.append(request.function(net, params, batch, _row(request.aux, position)))
                passes = max(passes, net.calls)
            found.append(results[0] if request.models is None else _stack_trees(results))
        each.append(_reduced(request, found))
    return _stack_trees(each), passes * (request.models or 1)


def _reduced(request: ComputeRequest, chunks: list[Any]) -> Any:
    if request.reduce == "sum":
        return pytree.tree_map(lambda *parts: sum(parts[1:], parts[0]), *chunks)
    total = request.plan.indices.shape[1] * request.plan.indices.shape[3]
    axis = 0 if request.models is None else 1

    def joined(*parts: Tensor) -> Tensor:
        rows = torch.cat(parts, dim=axis)
        padding = [*rows.shape[:axis], total - rows.shape[axis], *rows.shape[axis + 1 :]]
        return torch.cat([rows, rows.new_zeros(padding)], dim=axis)

    return pytree.tree_map(joined, *chunks)


def _own(tensor: Tensor) -> Tensor:
    return tensor.clone(memory_format=torch.contiguous_format)


def _row(tree: Any, position: int) -> Any:
    return None if tree is None else pytree.tree_map(lambda leaf: leaf[position], plain(tree))


def _stack_params(rows: list[Params]) -> Params:
    return Params({name: torch.stack([row[name] for row in rows]) for name in rows[0]})


def _stack_trees(trees: list[Any]) -> Any:
    if trees[0] is None:
        return None
    return pytree.tree_map(lambda *leaves: torch.stack(leaves), *trees)


def logits(model: ClientModel, served: Served, x: Tensor, counts: Tensor) -> Tensor:
    """Outputs ``[c, B, classes]`` of every client on its own samples ``[c, B, ...]``, one client at a time."""
    found = []
    for i in range(len(x)):
        net, params = model.evaluating(counts[i]), _row(dict(served.params), i)
        predict = served.predict
        found.append(net(params, x[i]) if predict is None else predict(net, params, x[i], _row(served.aux, i)))
    return torch.stack(found)
