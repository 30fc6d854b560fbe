"""One local step of the paper's LeNet (batch 64): plain PyTorch, the peers' way, ours. Ratios go to extra_info."""

import numpy as np
import pytest
import torch
from torch.utils.data import Subset

from pfl_bench.conformance.kit import tiny_arena
from pfl_bench.simulator import build_federation
from pfl_bench.training import Sgd

from .peers import Images, PlainLeNet, plain_step, train_visit

STEPS = 10


@pytest.fixture(scope="module")
def arena():
    arena = tiny_arena("synthetic:classes=10,n=3000,side=32,channels=3", "lenet", rule={"rule": "iid"}, clients=3)
    return type(arena)(
        arena.scenario.model_copy(update={"batch_size": 64, "local_steps": STEPS}), arena.dataset, arena.partition
    )


@pytest.mark.benchmark(group="ten local steps of one client, LeNet, batch 64")
def test_plain_pytorch(benchmark):
    model = PlainLeNet()
    optimiser = torch.optim.SGD(model.parameters(), lr=5e-3, momentum=0.9, weight_decay=5e-5)
    x, y = torch.randn(64, 3, 32, 32), torch.randint(0, 10, (64,))
    benchmark(lambda: [plain_step(model, optimiser, x, y) for _ in range(STEPS)])


@pytest.mark.benchmark(group="ten local steps of one client, LeNet, batch 64")
def test_peers_way(benchmark, arena):
    pytest.importorskip("torchvision", reason="the peers' per-image transforms are torchvision's")
    data, own = arena.dataset, arena.partition.train[0]
    subset = Subset(Images(data.train_images, data.train_labels, data.mean, data.std), np.asarray(own).tolist())
    model = PlainLeNet()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    benchmark(train_visit, model, weights, subset, STEPS)


@pytest.mark.benchmark(group="ten local steps of one client, LeNet, batch 64")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_ours(benchmark, arena, precision):
    scenario = arena.scenario.at_precision(precision)
    spec = type(arena)(scenario, arena.dataset, arena.partition).spec("fedavg")
    fed = build_federation(spec, arena.dataset, arena.partition, torch.device("cpu"))
    cohort = torch.tensor([0])
    start = fed.send(fed.init_params(), cohort)
    benchmark(fed.train, start, cohort, Sgd(5e-3, 0.9, 5e-5, 50.0))
