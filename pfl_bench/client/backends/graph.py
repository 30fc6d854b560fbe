"""The stacked local step, recorded once per (direction, optimiser, shapes) as a CUDA graph and replayed.

Which batch a step reads is a counter on the device, so a whole visit is one replay per step and nothing else.
"""

from typing import Any

import torch
from torch import Tensor

from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import plain
from pfl_bench.client.training import Batch, Sgd, Trained, TrainRequest
from pfl_bench.data.pool import ImagePool

from .cuda_graphs import Recording, Recordings, overwrite, record, shapes
from .vmap import Direction, padding, sgd_step_, unpacked

RECORDINGS = Recordings()
"""The process's recordings: rounds and runs with the same step share them."""


def train(model: ClientModel, pool: ImagePool, request: TrainRequest) -> Trained:
    """Execute a request by replaying the recorded step."""
    direction = Direction.of(model, request)
    layout = direction.layout
    inputs = _inputs(direction, request, pool.images.device)
    key = (direction, request.sgd, pool.images.data_ptr(), shapes(inputs))
    step = RECORDINGS.get(key, lambda: _record(direction, pool, request.sgd, inputs))
    overwrite(step.inputs, inputs)
    for _ in range(request.plan.steps):
        step.replay()
    now = step.inputs
    memory = torch.utils._pytree.tree_map_only(Tensor, torch.clone, now["memory"])
    return unpacked(layout, request, now["flat"].clone(), now["momentum"].clone(), memory)


def _inputs(direction: Direction, request: TrainRequest, device: torch.device) -> dict[str, Any]:
    """Everything a step reads; what it changes is ``flat``, ``momentum``, ``memory`` and ``position``."""
    layout = direction.layout
    indices, weights = padding(request)
    return {
        "flat": layout.flatten(request.params),
        "momentum": layout.flatten(request.momentum),
        "fixed": {name: tensor for name, tensor in request.params.items() if name not in layout.names},
        "aux": plain(request.aux),
        "memory": plain(request.memory),
        "indices": indices,
        "weights": weights,
        "position": torch.zeros(1, dtype=torch.int64, device=device),
    }


def _record(direction: Direction, pool: ImagePool, sgd: Sgd, inputs: dict[str, Any]) -> Recording:
    def step(now: dict[str, Any]) -> None:
        position = now["position"].clamp(max=now["indices"].shape[1] - 1)  # warming up may run past the end
        indices, weights = (now[name].index_select(1, position).squeeze(1) for name in ("indices", "weights"))
        x, y = pool.gather(indices)
        batches = tuple(Batch(x[:, d], y[:, d], weights[:, d]) for d in range(indices.shape[1]))
        gradient, memory = direction(now["flat"], now["fixed"], batches, now["aux"], now["memory"])
        sgd_step_(now["flat"], gradient, now["momentum"], sgd, direction.layout.clipped)
        overwrite(now["memory"], memory)
        now["position"] += 1

    return record(step, inputs, (), pool.images.device)
