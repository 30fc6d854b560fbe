"""The stacked local step, recorded once per (direction, optimiser, shapes) as a CUDA graph and replayed.

Which batch a step reads is a counter on the device, so a whole visit is one replay per step and nothing else.
"""

from typing import Any

import torch
from torch import Tensor

from pfl_bench.client.batches import Batch
from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import plain
from pfl_bench.client.requests import Trained, TrainRequest
from pfl_bench.client.sgd import Sgd
from pfl_bench.data.pool import Pool

from .cuda_graphs import Recording, Recordings, overwrite, record, shapes
from .direction import Direction, figures_of
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
