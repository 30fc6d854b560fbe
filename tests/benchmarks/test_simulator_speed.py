"""Speed of the client simulator. ``make bench`` runs this; nothing here is a timed assertion."""

import pytest
import torch

from pfl_bench.conformance.kit import tiny_arena
from pfl_bench.partitioner import make_partition
from pfl_bench.simulator import build_federation
from pfl_bench.training import Sgd

MODELS = {"mlp": "synthetic:classes=10,n=600", "lenet": "synthetic:classes=10,n=600,side=32,channels=3"}


@pytest.mark.parametrize("backend", ["loop", "vmap"])
@pytest.mark.parametrize("model", list(MODELS))
def test_ten_local_steps_of_five_clients(benchmark, backend, model):
    arena = tiny_arena(MODELS[model], model, rule={"rule": "iid"})
    fed = build_federation(arena.spec("fedavg"), arena.dataset, arena.partition, torch.device("cpu"), backend)
    cohort = torch.arange(5)
    start = fed.send(fed.init_params(), cohort)
    benchmark(fed.train, start, cohort, Sgd(0.01, 0.9, 5e-5, 50.0), steps=10)


def test_partition(benchmark):
    arena = tiny_arena()
    benchmark(make_partition, "classes", {"classes": 2}, arena.dataset, 6, 0)
