"""Evaluation, partitioning, a whole tiny run."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from pfl_bench.client.backends import BACKENDS
from pfl_bench.client.params import stacked
from pfl_bench.client.requests import Served
from pfl_bench.data.partition import make_partition
from pfl_bench.engine.evaluation import EvaluationSet, evaluate
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import tiny_setup

from .compare import medians, report
from .peers import PlainLeNet


@pytest.mark.benchmark(group="evaluation")
def test_evaluation_of_fifty_clients(benchmark, capsys):
    setup = tiny_setup("synthetic:classes=10,n=12000,side=32,channels=3", "lenet", rule={"rule": "iid"}, clients=50)
    harness = Harness("fedavg", setup)
    fed, pool, train = harness.fed, harness.group.pool, setup.partition.train
    data, served = EvaluationSet.of(pool, train), Served(stacked(fed.init_params(), 50))
    model, images = PlainLeNet(), sum(len(own) for own in train)

    def plain() -> None:
        with torch.no_grad():
            for own in train:
                x, y = pool.gather(torch.from_numpy(own))
                logits = model(x.contiguous())
                F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).sum().item()

    def ours() -> None:
        evaluate(fed.model, BACKENDS["loop"], served, data, fed.everyone)

    each = {f"us per image {k}": 1e6 * v / images for k, v in medians({"plain": plain, "ours": ours}).items()}
    ratio = each["us per image plain"] / each["us per image ours"]
    report(benchmark, capsys, "evaluation, LeNet", {**each, "plain / ours": ratio})
    benchmark.pedantic(ours, rounds=5)


@pytest.mark.benchmark(group="partitioning")
@pytest.mark.parametrize(
    ("rule", "parameters"), [("classes", {"classes": 2}), ("dirichlet", {"alpha": 0.1}), ("iid", {})]
)
def test_partition_fifty_thousand_samples_for_a_hundred_clients(benchmark, rule, parameters):
    setup = tiny_setup("synthetic:classes=10,n=50000,side=4", "mlp", rule={"rule": "iid"}, clients=10)
    benchmark(make_partition, rule, parameters, setup.dataset, 100, 0)


@pytest.mark.benchmark(group="start-up")
def test_a_whole_tiny_run_from_the_shell(benchmark, tmp_path):
    words = "run --methods fedavg --seeds 0 --executor serial --budget-scale 0.02 --fresh --out"
    command = [sys.executable, "-m", "pfl_bench", *words.split(), str(tmp_path)]
    benchmark.pedantic(subprocess.run, args=(command,), kwargs={"check": True, "capture_output": True}, rounds=5)
