"""Back-ends: ways of executing a training request. All mean the same; ``auto`` takes the fastest.

``loop`` trains clients one after another: the reference, and the fast one for convolutions on a CPU.
``vmap`` trains them stacked: the fast one for small dense models on a CPU.
``lockstep`` is ``vmap`` in a layout of memory in which a client's numbers do not depend on who else is stacked beside
it: for runs that may, or may not, share their steps with other runs.
``graph`` records the stacked step as a CUDA graph and replays it: the fast one on a GPU, where ``lockstep`` is it too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pfl_bench.client.model import ClientModel
from pfl_bench.client.requests import ComputeRequest, Served, Trained, TrainRequest
from pfl_bench.data.pool import Pool
from pfl_bench.errors import RequestError, unknown

from . import graph, lockstep, loop, stacked_compute, vmap
from .joined import Together


@dataclass(frozen=True)
class Backend:
    """``train`` and ``compute`` execute requests; ``compute`` also says how often a sample passed through a model.

    ``logits(model, served [c, ...], x [c, B, ...], counts [c, B]) -> [c, B, classes]``. ``together``: how it executes
    requests of several runs as one, if it does.
    """

    name: str
    train: Callable[[ClientModel, Pool, TrainRequest], Trained]
    compute: Callable[[ClientModel, Pool, ComputeRequest], tuple[Any, int]]
    logits: Callable[[ClientModel, Served, Tensor, Tensor], Tensor]
    together: Together | None = None


BACKENDS: Mapping[str, Backend] = {
    "loop": Backend("loop", loop.train, loop.compute, loop.logits),
    "vmap": Backend("vmap", vmap.train, stacked_compute.compute, vmap.logits),
    "lockstep": Backend("lockstep", lockstep.train, lockstep.compute, vmap.logits, lockstep.TOGETHER),
    "graph": Backend("graph", graph.train, stacked_compute.compute, vmap.logits),
}

ON_GPU: Mapping[str, Backend] = {
    **BACKENDS,
    "lockstep": replace(BACKENDS["graph"], name="lockstep", together=graph.TOGETHER),
}
"""Recorded steps are shared there: numbers depend on the company in the last bits, which the run's record names."""


def _train_auto(model: ClientModel, pool: Pool, request: TrainRequest) -> Trained:
    """Stacking pays from two clients on."""
    return (loop if request.plan.clients == 1 else vmap).train(model, pool, request)


DENSE_ON_CPU = Backend("vmap, loop for single clients", _train_auto, stacked_compute.compute, vmap.logits)


def choose_backend(name: str, model: ClientModel, device: torch.device) -> Backend:
    """Resolve ``auto``; RequestError for an unknown name, or one that the client model cannot work with."""
    if model.backend:
        if name not in ("auto", model.backend):
            raise RequestError(f"--backend: {name!r} cannot run client model {model.name!r}; it needs {model.backend}")
        return BACKENDS[model.backend]
    known = ON_GPU if device.type == "cuda" else BACKENDS
    if name == "auto" and device.type == "cpu":
        return BACKENDS["loop"] if model.convolutional or model.mixes_samples else DENSE_ON_CPU
    if name == "auto":
        name = "graph" if device.type == "cuda" else "vmap"
    if name not in known:
        raise unknown("backend", name, ["auto", *known])
    return known[name]
