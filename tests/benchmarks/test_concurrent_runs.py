"""What users feel: two pFedHN runs at once on two cores, against the imitated official code with two threads."""

import multiprocessing
import time

import numpy as np
import pytest
import torch

from pfl_bench.engine.events import RunResult
from pfl_bench.running.job import make_job, run_job
from pfl_bench.spec.options import Options
from pfl_bench.spec.scenario import Precision
from pfl_bench.testing.setup import TinySetup, tiny_setup

from .compare import report
from .peers import client_data, pfedhn_visits

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
CLIENTS, VISITS, STEPS, ROUNDS = 50, 4, 50, 5


def cifar_like(precision: Precision = "fp32") -> TinySetup:
    """CIFAR-10's shapes; one evaluation, at the end, on both sides left out of the time."""
    base = tiny_setup("synthetic:classes=10,n=32000,side=32,channels=3", "lenet", rule={"rule": "iid"}, clients=CLIENTS)
    changes = {"batch_size": 64, "local_steps": STEPS, "visits": VISITS, "eval_every": VISITS}
    return TinySetup(base.but(**changes).scenario.at_precision(precision), base.dataset, base.partition)


def our_run(precision: Precision, barrier, seconds) -> None:
    """In a process of its own, as a Ray worker is; the first run warms up."""
    setup = cifar_like(precision)
    job = make_job(setup.spec("pfedhn"), setup.partition, Options())
    for _ in range(ROUNDS + 1):
        barrier.wait()
        *_, result = run_job(job, setup.dataset)
        assert isinstance(result, RunResult)
        seconds.put(result.facts["costs"]["train_seconds"])


def ours(precision: Precision) -> float:
    """Seconds until both of two concurrent runs are through; the median over rounds."""
    context = multiprocessing.get_context("spawn")
    barrier, seconds = context.Barrier(2), context.Queue()
    workers = [context.Process(target=our_run, args=(precision, barrier, seconds)) for _ in range(2)]
    for worker in workers:
        worker.start()
    rounds = [max(seconds.get(), seconds.get()) for _ in range(ROUNDS + 1)]
    for worker in workers:
        worker.join()
    return float(np.median(rounds[1:]))


def imitated() -> float:
    """Seconds for two runs one after the other, each with both cores."""
    setup = cifar_like()
    clients = [client_data(setup.dataset, own) for own in setup.partition.train]
    torch.set_num_threads(2)
    rounds = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        for _ in range(2):
            list(pfedhn_visits(clients, VISITS, STEPS))
        rounds.append(time.perf_counter() - started)
    return float(np.median(rounds[1:]))


@pytest.mark.benchmark(group="two pFedHN runs on two cores")
def test_two_runs_at_once(benchmark, capsys):
    pytest.importorskip("torchvision", reason="the imitated per-image transforms are torchvision's")
    theirs = benchmark.pedantic(imitated, rounds=1)
    each = {f"s ours, {precision}": ours(precision) for precision in PRECISIONS}
    ratios = {f"imitation / {name[2:]}": theirs / value for name, value in each.items()}
    report(benchmark, capsys, f"two runs of {VISITS} visits", {"s imitation": theirs, **each, **ratios})
