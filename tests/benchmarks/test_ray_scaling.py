"""One and two Ray workers on the same list of compute-bound runs: time, and bitwise equal results."""

import time
from dataclasses import replace

import pytest

from pfl_bench.engine.events import RunResult
from pfl_bench.running.executors.ray import RayExecutor
from pfl_bench.running.job import Job, make_job
from pfl_bench.spec.options import Options
from pfl_bench.testing.kit import fingerprint
from pfl_bench.testing.setup import tiny_setup

RUNS = 8
VISITS = 10


def jobs_and_data() -> tuple[list[Job], dict]:
    """Eight runs of FedAvg with the LeNet on CIFAR-sized images: 500 local steps each."""
    base = tiny_setup("synthetic:classes=10,n=2000,side=32,channels=3", "lenet", rule={"rule": "iid"})
    setup = base.but(visits=VISITS, local_steps=50, batch_size=64, eval_every=VISITS)
    specs = [replace(setup.spec("fedavg"), seed=seed) for seed in range(RUNS)]
    return [make_job(spec, setup.partition, Options()) for spec in specs], {setup.scenario.dataset: setup.dataset}


def execute(workers: int) -> tuple[float, dict[int, str]]:
    jobs, data = jobs_and_data()
    started = time.perf_counter()
    results = {
        position: fingerprint(event)
        for position, event in RayExecutor(workers=workers).execute(jobs, data)
        if isinstance(event, RunResult)
    }
    return time.perf_counter() - started, results


@pytest.mark.benchmark(group="ray scaling")
def test_two_workers_against_one(benchmark, capsys):
    one, single = execute(1)
    two, double = benchmark.pedantic(execute, args=(2,), rounds=1)
    assert single == double and len(single) == RUNS
    benchmark.extra_info.update(seconds_one_worker=one, seconds_two_workers=two, ratio=two / one)
    with capsys.disabled():
        print(f"\nRay: one worker {one:.1f} s, two workers {two:.1f} s, ratio {two / one:.2f} (start-up included)")
