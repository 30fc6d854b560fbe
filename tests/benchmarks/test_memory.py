"""What one, two and four Ray workers keep in memory, and what a worker adds."""

from dataclasses import replace
from pathlib import Path

import pytest

from pfl_bench.engine.events import RunResult
from pfl_bench.running.executors.ray import RayExecutor, _run_company
from pfl_bench.running.job import make_job
from pfl_bench.spec.options import Options
from pfl_bench.testing.setup import tiny_setup

from .compare import report

RUNNING = f"ray::{_run_company.__name__}".encode()
"""What Ray calls a worker's process while it computes."""


def proportional_bytes(workers: int) -> dict[str, float]:
    """Summed over this machine's run workers: memory of their own, and their share of what they share."""
    kinds = {"Private_Dirty": "own", "Private_Clean": "own", "Shared_Dirty": "shared", "Shared_Clean": "shared"}
    total = {"own": 0.0, "shared": 0.0}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if RUNNING not in (process / "cmdline").read_bytes():
                continue
            for line in (process / "smaps_rollup").read_text().splitlines()[1:]:
                name, value = line.split(":")
                if name in kinds:
                    total[kinds[name]] += int(value.split()[0]) * 1024 / workers
        except OSError:
            continue
    return total


@pytest.mark.benchmark(group="memory per worker")
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_memory_of_workers(benchmark, capsys, workers):
    """A data set of 98 MB; FedPer with 50 clients keeps 50 heads, the rest is overhead."""
    base = tiny_setup("synthetic:classes=10,n=32000,side=32,channels=3", "lenet", rule={"rule": "iid"}, clients=50)
    setup = base.but(visits=60, local_steps=5, batch_size=64, eval_every=20)
    specs = [replace(setup.spec("fedper"), seed=seed) for seed in range(2 * workers)]
    jobs = [make_job(spec, setup.partition, Options()) for spec in specs]
    most = {"own": 0.0, "shared": 0.0}

    def execute() -> None:
        for _, event in RayExecutor(workers=workers).execute(jobs, {setup.scenario.dataset: setup.dataset}):
            assert isinstance(event, RunResult) or type(event).__name__ in ("Progress", "Checkpoint"), event
            now = proportional_bytes(workers)
            most.update({kind: max(most[kind], now[kind]) for kind in most})

    benchmark.pedantic(execute, rounds=1)
    assert most["own"] > 0, f"no process is called {RUNNING.decode()}"
    megabytes = (base.dataset.train_inputs.nbytes + base.dataset.test_inputs.nbytes) / 1e6
    figures = {f"MB {kind} per worker": value / 1e6 for kind, value in most.items()}
    report(benchmark, capsys, f"{workers} workers", {"workers": workers, "MB data set": megabytes, **figures})
