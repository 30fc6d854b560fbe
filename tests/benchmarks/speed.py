"""``python -m tests.benchmarks.speed``: what the project says of its speed on a CPU, measured in some four minutes.

Every figure is CPU time of one thread, so that other work on the machine matters less; sides of a ratio are measured in
one go. ``--only lenet,quick`` measures some parts, ``--out FILE`` keeps the figures as JSON.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from pfl_bench.client.sgd import Sgd
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import make_partition
from pfl_bench.data.pool import make_pool
from pfl_bench.data.store import default_data_dir
from pfl_bench.engine.events import RunResult
from pfl_bench.engine.process import keep_freed_memory
from pfl_bench.registry import METHODS
from pfl_bench.running.job import Job, make_job, run_job
from pfl_bench.running.lockstep.together import run_together
from pfl_bench.running.runner import make_plan
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import plan_runs
from pfl_bench.spec.suite import load_suite
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import TinySetup, tiny_setup

from .compare import medians
from .peers import PlainLeNet, PlainMlp, client_data, plain_step, sgd, train_visit
from .plain import federated_averaging

Figures = dict[str, float]

ELEVEN = (
    "local", "fedavg", "fedavg_ft", "fedprox", "per_fedavg", "fedper", "lg_fedavg", "pfedme", "ditto", "pfedhn",
    "pfedhn_pc",
)  # fmt: skip
TRIALS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2)
SGD = Sgd(5e-3, 0.9, 5e-5, 50.0)
REACHED = 77
"""Exit status of a program that came to its first training."""


def lenet() -> Figures:
    """One local step of the LeNet at batch 64: plain loops, ours, and the official code's data path, imitated."""
    steps = 10
    base = tiny_setup("synthetic:classes=10,n=6000,side=32,channels=3", "lenet", rule={"rule": "iid"}, clients=10)
    setup = base.but(batch_size=64, local_steps=steps)
    x, y = torch.randn(64, 3, 32, 32), torch.randint(0, 10, (64,))
    sides: dict[str, Callable[[], object]] = {}
    for name, layout in (("plain", torch.contiguous_format), ("plain, channels-last", torch.channels_last)):
        sides[name] = _plain_steps(x.to(memory_format=layout), y, layout, steps)
    sides["ours"] = _visit(setup, "loop", 1)
    sides["ours, bf16"] = _visit(setup.but(precision="bf16"), "loop", 1)
    try:
        data = client_data(setup.dataset, setup.partition.train[0])
        model = PlainLeNet()
        weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        sides["a DataLoader per step (imitation)"] = lambda: train_visit(model, weights, data, steps)
    except ImportError:
        pass  # torchvision is optional
    each = {f"LeNet step, ms: {name}": 1e3 * value / steps for name, value in medians(sides).items()}
    ours = each["LeNet step, ms: ours"]
    return {**each, "LeNet: channels-last plain loop / ours": each["LeNet step, ms: plain, channels-last"] / ours}


def _plain_steps(x: torch.Tensor, y: torch.Tensor, layout: torch.memory_format, steps: int) -> Callable[[], object]:
    model = PlainLeNet().to(memory_format=layout)  # type: ignore[call-overload]
    optimiser = sgd(model)

    def call() -> None:
        for _ in range(steps):
            plain_step(model, optimiser, x, y)

    return call


def _visit(setup: TinySetup, backend: str, cohort: int) -> Callable[[], object]:
    """A visit of each client of a cohort, as a call without arguments."""
    harness = Harness("fedavg", setup, options=Options(backend=backend))
    fed, clients = harness.fed, harness.clients(*range(cohort))
    start = fed.send(fed.init_params(), clients)
    return lambda: fed.train(start, clients, SGD)


def dense() -> Figures:
    """A local step of the MLP of ``quick`` per client, by how many are stacked."""
    steps, figures = 20, {}
    base = tiny_setup("synthetic:classes=10,n=6000,side=8", "mlp", rule={"rule": "iid"}, clients=100)
    setup = base.but(batch_size=16, local_steps=steps)
    for cohort in (1, 5, 15, 50, 100):
        seconds = medians({"visit": _visit(setup, "lockstep", cohort)}, rounds=15)["visit"]
        figures[f"dense step in lock-step, us per client, {cohort} stacked"] = 1e6 * seconds / (steps * cohort)
    return figures


def alone() -> Figures:
    """A FedAvg run of ``quick``, alone in its process so far, against a plain loop of the same visits and steps."""
    (job,), data = _jobs(["fedavg"], [0], lockstep=1)
    job = replace(job, scenario=job.scenario.model_copy(update={"eval_every": job.scenario.visits}))
    scenario = job.scenario
    pool = make_pool(data, "train", torch.device("cpu"))
    clients = [pool.gather(torch.from_numpy(own)) for own in job.partition.train]

    def plain() -> None:
        visits, steps = scenario.visits, scenario.local_steps
        federated_averaging(PlainMlp(64), clients, visits, 5, steps, scenario.batch_size, 0.05)

    first = _cpu(lambda: _one_after_another([job], data))
    both = medians({"plain": plain, "ours": lambda: _one_after_another([job], data)}, rounds=5)
    return {
        "FedAvg on quick, s: plain loop": both["plain"],
        "FedAvg on quick, s: ours, first of its process": first,
        "FedAvg on quick, s: ours, later": both["ours"],
        "FedAvg on quick: ours / plain loop, first of its process": first / both["plain"],
        "FedAvg on quick: ours / plain loop, later": both["ours"] / both["plain"],
    }


def quick() -> Figures:
    """The eleven methods on ``quick``, three and ten seeds, in lock-step and one after another."""
    spent: dict[str, dict[str, float]] = {"alone 3": {}, "lock-step 3": {}, "lock-step 10": {}}
    for method in ELEVEN:
        for side, kept in spent.items():
            seeds = range(int(side.split()[1]))
            if side.startswith("alone"):
                jobs, data = _jobs([method], seeds, lockstep=1)
                kept[method] = _cpu(lambda jobs=jobs, data=data: _one_after_another(jobs, data))  # type: ignore[misc]
            else:
                jobs, data = _jobs([method], seeds, backend="lockstep")
                kept[method] = _cpu(lambda jobs=jobs, data=data: _in_company(jobs, data))  # type: ignore[misc]
    total = {side: sum(kept.values()) for side, kept in spent.items()}
    hyper = {side: kept["pfedhn"] for side, kept in spent.items()}
    return {
        **{f"quick, eleven methods, s: {side} seeds": value for side, value in total.items()},
        "quick: one after another / lock-step, 3 seeds": total["alone 3"] / total["lock-step 3"],
        "quick in lock-step: 10 seeds / 3 seeds": total["lock-step 10"] / total["lock-step 3"],
        "pfedhn, 10 seeds: one after another / lock-step": hyper["alone 3"] * 10 / 3 / hyper["lock-step 10"],
    }


def tuning() -> Figures:
    """Eight learning rates of FedAvg in lock-step against one of them alone."""

    def trials(**options: object) -> tuple[list[Job], ArrayDataset]:
        (job,), data = _jobs(["fedavg"], [1000], **options)
        return [replace(job, config={**job.config, "lr": lr}) for lr in TRIALS], data

    (many, data), (single, _) = trials(backend="lockstep"), trials(lockstep=1)
    both = medians(
        {"eight": lambda: _in_company(many, data), "one": lambda: _one_after_another(single[:1], data)}, rounds=3
    )
    return {"tuning: 8 trials of FedAvg in lock-step / one alone": both["eight"] / both["one"]}


def evaluation() -> Figures:
    """Evaluation's share of a run's time at the paper's cadence: images of CIFAR-10's size, the LeNet, 50 local steps,
    and 640 images evaluated per visit, as 50 clients with 192 validation and 192 test images every 30 visits.

    The global score, which a run takes once, at its end, is left out.
    """
    base = tiny_setup("synthetic:classes=10,n=32000,side=32,channels=3", "lenet", rule={"rule": "iid"}, clients=10)
    partition = make_partition("iid", {}, base.dataset, 50, 0)
    every = round(sum(map(len, (*partition.validation, *partition.test))) / 640)
    changes = {"clients": 50, "visits": every + 5, "local_steps": 50, "batch_size": 64, "eval_every": every}
    setup = TinySetup(base.but(**changes).scenario, base.dataset, partition)
    *_, result = run_job(make_job(setup.spec("fedavg"), setup.partition, Options()), setup.dataset)
    assert isinstance(result, RunResult)
    first = result.history[0]
    assert first["visits"] < setup.scenario.visits
    share = first["eval_seconds"] / (first["train_seconds"] + first["eval_seconds"])
    return {"evaluation's share of time, LeNet, FedAvg": share}


UNTIL_TRAINED = f"""
import os, sys
from pfl_bench.__main__ import main
from pfl_bench.engine.federation import Federation
Federation.train = lambda *arguments, **options: os._exit({REACHED})
main()
"""
"""The program, which ends where a method trains for the first time."""


def startup() -> Figures:
    """From the shell to the first training, and to the end of a tiny run, imports and tables included: CPU and
    wall-clock time, the medians of five."""
    words = "run --methods fedavg --seeds 0 --executor serial --budget-scale 0.02 --fresh --out"
    with tempfile.TemporaryDirectory() as folder:
        sides = {
            "the shell to the first fed.train": (["-c", UNTIL_TRAINED, *words.split(), folder], REACHED),
            "a tiny run from the shell": (["-m", "pfl_bench", *words.split(), folder], 0),
        }
        figures: Figures = {}
        for what, (arguments, status) in sides.items():
            spent = [_spent([sys.executable, *arguments], status) for _ in range(5)]
            cpu, wall = (sorted(column)[2] for column in zip(*spent, strict=True))
            figures |= {f"{what}, s of CPU": cpu, f"{what}, s of wall-clock time": wall}
    return figures


def _spent(command: list[str], status: int) -> tuple[float, float]:
    """CPU and wall-clock seconds of a program that must end with this exit status."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    assert done.returncode == status, done.stderr
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, ended - started


def _jobs(methods: list[str], seeds: Sequence[int], **options: object) -> tuple[list[Job], ArrayDataset]:
    suite = load_suite("quick")
    runs = plan_runs(methods, suite.scenarios, seeds, suite, {})
    plan = make_plan("quick", runs, default_data_dir(), Options(**options), ())  # type: ignore[arg-type]
    return [make_job(run, plan.partition(run), plan.options) for run in runs], next(iter(plan.datasets.values()))


def _one_after_another(jobs: Sequence[Job], data: ArrayDataset) -> None:
    for job in jobs:
        *_, result = run_job(job, data)
        assert isinstance(result, RunResult)


def _in_company(jobs: Sequence[Job], data: ArrayDataset) -> None:
    results = [event for _, event in run_together(jobs, data) if isinstance(event, RunResult)]
    assert len(results) == len(jobs)


def _cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


PARTS: dict[str, Callable[[], Figures]] = {
    part.__name__: part for part in (alone, lenet, dense, tuning, quick, evaluation, startup)
}
"""``alone`` is first: nothing is recorded in the process yet."""


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    METHODS.discover()
    figures: Figures = {}
    for name in arguments.only.split(","):
        found = PARTS[name]()
        figures |= found
        for what, value in found.items():
            print(f"{what:70s} {value:8.3g}", flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
