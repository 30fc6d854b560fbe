"""The stacked local step, recorded once per (direction, optimiser, shapes) as a CUDA graph and replayed.

Which batch a step reads is a counter on the device, so a whole visit is one replay per step and nothing else.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pfl_bench.client.batches import Batch
from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import Params, plain
from pfl_bench.client.requests import Trained, TrainRequest
from pfl_bench.client.sgd import Sgd
from pfl_bench.data.pool import Pool

from . import lockstep
from .cuda_graphs import Recording, Recordings, overwrite, record, shapes
from .direction import Direction, figures_of
from .joined import Together, cut, joined, joined_plan, rows_of
from .vmap import active_steps, advance_, descent, padding, unpacked

RECORDINGS = Recordings()
"""The process's recordings: rounds and runs with the same step share them."""


def train(model: ClientModel, pool: Pool, request: TrainRequest) -> Trained:
    """Execute a request by replaying the recorded step."""
    direction = Direction.of(model, request)
    inputs = _inputs(direction, request, pool.device)
    figures = figures_of(request)
    key = (direction, figures, pool.key, shapes(inputs))
    step = RECORDINGS.get(key, lambda: _record(direction, figures, pool, inputs))
    overwrite(step.inputs, inputs)
    for _ in range(request.plan.steps):
        step.replay()
    now = torch.utils._pytree.tree_map_only(Tensor, torch.clone, step.inputs)
    return unpacked(direction.layout, request, now["flats"], now["momentum"], now["carry"], now["fixed"], now["losses"])


def training_key(model: ClientModel, pool: Pool, request: TrainRequest) -> Hashable:
    """Requests with equal keys are one recorded step: of the same data and the same figures of SGD."""
    return lockstep.training_key(model, request), pool.key, figures_of(request)


def train_together(model: ClientModel, parts: Sequence[tuple[Pool, TrainRequest]]) -> list[Trained]:
    """Execute requests of equal ``training_key`` as one, their clients behind one another."""
    requests = [request for _, request in parts]
    if len(requests) == 1:
        return [train(model, *parts[0])]
    params, momentum, aux, carry = (
        joined([getattr(request, name) for request in requests]) for name in ("params", "momentum", "aux", "carry")
    )
    plans = [request.plan for request in requests]
    whole = replace(
        requests[0], params=Params(params), momentum=Params(momentum), aux=aux, carry=carry,
        plan=joined_plan(plans),
    )  # fmt: skip
    found = train(model, parts[0][0], whole)
    return [
        Trained(
            Params(cut(dict(found.params), rows)),
            Params(cut(dict(found.momentum), rows)),
            cut(found.carry, rows),
            found.losses[rows, : plan.steps].clone(),
        )
        for plan, rows in zip(plans, rows_of(plans), strict=True)
    ]


TOGETHER = Together(training_key, lockstep.computing_key, train_together, lockstep.compute_together, lambda model: True)
"""On a GPU: the numbers are those of each run alone but for rounding."""


def _inputs(direction: Direction, request: TrainRequest, device: torch.device) -> dict[str, Any]:
    """Everything a step reads; it changes ``flats``, ``momentum``, ``carry``, ``fixed``, ``losses``, ``position``."""
    layout, plan = direction.layout, request.plan
    indices, weights = padding(plan)
    return {
        "flats": layout.flatten(request.params),
        "momentum": layout.flatten(request.momentum),
        "fixed": {name: tensor for name, tensor in request.params.items() if name not in layout.names},
        "aux": plain(request.aux),
        "carry": plain(request.carry),
        "indices": indices,
        "weights": weights,
        "noise": None if plan.noise is None else plan.noise[..., : indices.shape[-1]],
        "taking": active_steps(plan),
        "losses": torch.full((plan.clients, plan.steps), torch.nan, device=device),
        "position": torch.zeros(1, dtype=torch.int64, device=device),
    }


def _record(direction: Direction, figures: tuple[Sgd, ...], pool: Pool, inputs: dict[str, Any]) -> Recording:
    def step(now: dict[str, Any]) -> None:
        position = now["position"].clamp(max=now["indices"].shape[1] - 1)  # warming up may run past the end

        def at(name: str) -> Tensor | None:
            return None if now[name] is None else now[name].index_select(1, position).squeeze(1)

        indices, weights, noise = at("indices"), at("weights"), at("noise")
        assert indices is not None and weights is not None
        x, y = pool.gather(indices)
        x = x.contiguous()  # images channels-first: a step of one LeNet then takes 0.62 ms on an H100 instead of 0.98
        batches = tuple(
            Batch(x[:, d], y[:, d], weights[:, d], None if noise is None else noise[:, d])
            for d in range(indices.shape[1])
        )
        found = direction(now["flats"], now["fixed"], batches, now["aux"], now["carry"])
        carry, fixed, losses = advance_(
            descent(figures, now["flats"], now["momentum"]),
            now["flats"],
            now["momentum"],
            now["carry"],
            now["fixed"],
            found,
            at("taking"),
        )
        overwrite(now["carry"], carry)
        overwrite({name: now["fixed"][name] for name in direction.model.buffers & fixed.keys()},
                  {name: fixed[name] for name in direction.model.buffers & fixed.keys()})  # fmt: skip
        now["losses"].index_copy_(1, position, losses.unsqueeze(1))
        now["position"] += 1

    return record(step, inputs, (), pool.device)
