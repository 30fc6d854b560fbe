"""Back-ends: ways of executing a training request. All mean the same; ``auto`` takes the fastest.

``loop`` trains clients one after another: the reference, and the fast one for convolutions on a CPU.
``vmap`` trains them stacked: the fast one for small dense models on a CPU.
``graph`` records the stacked step as a CUDA graph and replays it: the fast one on a GPU.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import Params
from pfl_bench.client.training import Trained, TrainRequest
from pfl_bench.data.pool import ImagePool
from pfl_bench.errors import unknown

from . import graph, loop, vmap


@dataclass(frozen=True)
class Backend:
    """``train`` executes a request. ``logits(model, params [c, ...], x [c, B, C, H, W]) -> [c, B, classes]``."""

    name: str
    train: Callable[[ClientModel, ImagePool, TrainRequest], Trained]
    logits: Callable[[ClientModel, Params, Tensor], Tensor]


BACKENDS: Mapping[str, Backend] = {
    "loop": Backend("loop", loop.train, loop.logits),
    "vmap": Backend("vmap", vmap.train, vmap.logits),
    "graph": Backend("graph", graph.train, vmap.logits),
}


def _train_auto(model: ClientModel, pool: ImagePool, request: TrainRequest) -> Trained:
    """Stacking pays from two clients on."""
    return (loop if len(request.plan.indices) == 1 else vmap).train(model, pool, request)


DENSE_ON_CPU = Backend("vmap, loop for single clients", _train_auto, vmap.logits)


def choose_backend(name: str, model: ClientModel, device: torch.device) -> Backend:
    """Resolve ``auto``; an unknown name is a RequestError."""
    if name == "auto" and device.type == "cpu":
        return BACKENDS["loop"] if model.convolutional else DENSE_ON_CPU
    if name == "auto":
        name = "graph" if device.type == "cuda" else "vmap"
    if name not in BACKENDS:
        raise unknown("backend", name, ["auto", *BACKENDS])
    return BACKENDS[name]
