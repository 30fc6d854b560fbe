"""One local step: plain PyTorch in both orders of memory, the official code's data path imitated, ours, the floor."""

import pytest
import torch

from pfl_bench.client.backends import BACKENDS, traced
from pfl_bench.client.backends.traced import TraceCache
from pfl_bench.client.precision import has_bf16_units
from pfl_bench.client.sgd import Sgd
from pfl_bench.spec.options import Options
from pfl_bench.spec.scenario import Precision
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import TinySetup, tiny_setup

from .compare import medians, report
from .peers import PlainLeNet, PlainMlp, client_data, plain_step, sgd, train_visit

SGD = Sgd(5e-3, 0.9, 5e-5, 50.0)
LENET_FLOPS = 64 * 2 * (2 * 28 * 28 * 16 * 75 + 3 * 10 * 10 * 32 * 400 + 3 * (800 * 120 + 120 * 84 + 84 * 10))
"""Forward, and backward but for the images' gradient, at batch 64."""


def ten_clients(model: str, dataset: str, batch_size: int, steps: int) -> TinySetup:
    base = tiny_setup(dataset, model, rule={"rule": "iid"}, clients=10)
    return base.but(batch_size=batch_size, local_steps=steps)


def ours(setup: TinySetup, backend: str, cohort: int, precision: Precision = "fp32"):
    """A visit of each client of a cohort, as a call without arguments."""
    harness = Harness("fedavg", setup.but(precision=precision), options=Options(backend=backend))
    fed, clients = harness.fed, harness.clients(*range(cohort))
    start = fed.send(fed.init_params(), clients)
    return lambda: fed.train(start, clients, SGD)


def gemm_flops_per_second() -> float:
    a, b = torch.randn(512, 512), torch.randn(512, 512)
    return 2 * 512**3 / medians({"gemm": lambda: a @ b}, rounds=25)["gemm"]


@pytest.mark.benchmark(group="local step, LeNet, batch 64, one thread")
def test_lenet_step(benchmark, capsys):
    pytest.importorskip("torchvision", reason="the imitated per-image transforms are torchvision's")
    steps = 10
    setup = ten_clients("lenet", "synthetic:classes=10,n=6000,side=32,channels=3", 64, steps)
    model, peer, last = PlainLeNet(), PlainLeNet(), PlainLeNet().to(memory_format=torch.channels_last)
    optimiser, weights = sgd(model), {k: v.clone() for k, v in peer.state_dict().items()}
    x, y = torch.randn(64, 3, 32, 32), torch.randint(0, 10, (64,))
    x_last, optimiser_last = x.to(memory_format=torch.channels_last), sgd(last)
    data = client_data(setup.dataset, setup.partition.train[0])
    sides = {
        "plain": lambda: [plain_step(model, optimiser, x, y) for _ in range(steps)],
        "plain, channels-last": lambda: [plain_step(last, optimiser_last, x_last, y) for _ in range(steps)],
        "imitated data path": lambda: train_visit(peer, weights, data, steps),
        **{f"ours, {name}": ours(setup, name, 1) for name in BACKENDS},
        "ours, bf16": ours(setup, "loop", 1, "bf16"),
    }
    milliseconds = {f"ms {name}": 1e3 * value / steps for name, value in medians(sides).items()}
    rate = gemm_flops_per_second()
    fast = milliseconds["ms ours, loop"]
    figures = {
        **milliseconds,
        "ms floor": 1e3 * LENET_FLOPS / rate,
        "GEMM GFLOP/s": rate / 1e9,
        "steps/s ours": 1e3 / fast,
        "plain / ours": milliseconds["ms plain"] / fast,
        "plain, channels-last / ours": milliseconds["ms plain, channels-last"] / fast,
        "imitated data path / ours": milliseconds["ms imitated data path"] / fast,
        "ours / floor": fast / (1e3 * LENET_FLOPS / rate),
        "bf16 units": has_bf16_units(),
    }
    report(benchmark, capsys, "LeNet, one step", figures)
    benchmark.pedantic(sides["ours, loop"], rounds=5)


@pytest.mark.benchmark(group="local step, MLP of quick, batch 16, cohort of 10, one thread")
def test_mlp_step_of_ten_clients(benchmark, capsys, monkeypatch):
    steps, cohort = 20, 10
    setup = ten_clients("mlp", "synthetic:classes=10,n=3000,side=8", 16, steps)
    model = PlainMlp(64)
    optimiser, x, y = sgd(model), torch.randn(16, 64), torch.randint(0, 10, (16,))
    caches = {"vmap, untraced": TraceCache(warm_calls=10**9), "vmap": TraceCache(warm_calls=0)}
    train = ours(setup, "vmap", cohort)

    def stacked(name: str):
        def call() -> None:
            monkeypatch.setattr(traced, "TRACES", caches[name])
            train()

        return call

    sides = {
        "plain": lambda: [plain_step(model, optimiser, x, y) for _ in range(steps * cohort)],
        "loop": ours(setup, "loop", cohort),
        **{name: stacked(name) for name in caches},
    }
    each = {f"us {name}": 1e6 * value / (steps * cohort) for name, value in medians(sides, rounds=15).items()}
    floor = 1e6 * 16 * 2 * (2 * 64 * 64 + 3 * 64 * 10) / gemm_flops_per_second()
    ratios = {"loop / vmap": each["us loop"] / each["us vmap"], "plain / vmap": each["us plain"] / each["us vmap"]}
    report(benchmark, capsys, "MLP, one client step", {**each, "us floor": floor, **ratios})
    benchmark.pedantic(sides["vmap"], rounds=5)
