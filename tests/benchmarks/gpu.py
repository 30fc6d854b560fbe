"""Everything there is to measure on a GPU, in one command: ``python -m tests.benchmarks.gpu [--visits 5000]``.

Needs CUDA and, for real data, ``PFL_BENCH_DATA`` with cifar10.npz (else synthetic images of the same shape). Prints
one line per figure and writes them to ``$OUT/gpu.json`` (default: results/benchmarks/gpu.json).
"""

import argparse
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.multiprocessing import get_context

from pfl_bench.client.sgd import Sgd
from pfl_bench.data.partition import make_partition
from pfl_bench.data.store import load_dataset
from pfl_bench.engine.events import Failure, RunResult
from pfl_bench.running.job import make_job, run_job
from pfl_bench.running.lockstep.together import run_together
from pfl_bench.spec.options import Options
from pfl_bench.spec.suite import load_suite
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import TinySetup

CUDA = torch.device("cuda")
SGD = Sgd(5e-3, 0.9, 5e-5, 50.0)


def cifar10(visits: int) -> TinySetup:
    """CIFAR-10 with 50 clients from ``paper-table1``."""
    scenario = next(s for s in load_suite("paper-table1").scenarios if s.id == "cifar10-classes2-n50-v1")
    folder = Path(os.environ.get("PFL_BENCH_DATA", "/nonexistent"))
    if (folder / "cifar10.npz").exists():
        dataset = load_dataset("cifar10", folder)
    else:
        scenario = scenario.model_copy(update={"dataset": "synthetic:classes=10,n=32000,side=32,channels=3"})
        dataset = load_dataset(scenario.dataset)
    partition = make_partition("classes", {"classes": 2, "variant": "code"}, dataset, scenario.clients, 0)
    return TinySetup(scenario.model_copy(update={"visits": visits}), dataset, partition)


def one_run(setup: TinySetup, method: str) -> dict[str, float]:
    """A whole run: seconds, share of evaluation, peak GPU memory, validation-picked accuracy."""
    torch.cuda.empty_cache()
    job = make_job(setup.spec(method), setup.partition, Options(device="cuda"))
    started = time.perf_counter()
    *_, result = run_job(job, setup.dataset)
    assert isinstance(result, RunResult), result
    costs = result.facts["costs"]
    return {
        "seconds": time.perf_counter() - started,
        "evaluation share": costs["eval_seconds"] / (costs["eval_seconds"] + costs["train_seconds"]),
        "peak GPU GB": result.facts["peak_memory_bytes"] / 1e9,
        "accuracy": result.summary[result.facts["official_moment"]]["best"]["accuracy"],
    }


def local_step(setup: TinySetup, cohort: int) -> dict[str, float]:
    """Milliseconds per stacked step on each back-end, and how far each is from ``graph``. The back-ends that do not
    replay are measured on few clients only: they take seconds."""
    figures, trained = {}, {}
    for backend in ("graph", "vmap", "loop") if cohort <= 5 else ("graph",):
        harness = Harness("fedavg", setup, options=Options(device="cuda", backend=backend))
        fed, clients = harness.fed, harness.clients(*range(cohort))
        start = fed.send(fed.init_params(), clients)
        trained[backend] = fed.train(start, clients, SGD).params
        seconds = []
        for _ in range(5):
            torch.cuda.synchronize()
            started = time.perf_counter()
            fed.train(start, clients, SGD)
            torch.cuda.synchronize()
            seconds.append(time.perf_counter() - started)
        figures[f"ms {backend}"] = 1e3 * float(np.median(seconds)) / fed.local_steps
        figures[f"largest difference {backend}"] = max(
            float((trained[backend][name] - p).abs().max()) for name, p in trained["graph"].items()
        )
    return figures


def in_lockstep(setup: TinySetup, method: str, runs: int) -> dict[str, float]:
    """Seeds of one method that train as one batch in this process."""
    options = Options(device="cuda", backend="lockstep", lockstep=runs)
    job = make_job(setup.spec(method), setup.partition, options)
    started = time.perf_counter()
    events = run_together([replace(job, seed=seed) for seed in range(runs)], setup.dataset)
    found = [event for _, event in events if isinstance(event, RunResult | Failure)]
    seconds = time.perf_counter() - started
    assert all(isinstance(event, RunResult) for event in found), found
    return {"seconds": seconds, "visits per second": runs * setup.scenario.visits / seconds}


@contextmanager
def utilisation() -> Iterator[dict[str, float]]:
    """Mean GPU utilisation that nvidia-smi reports while the block runs."""
    found: dict[str, float] = {}
    samples: list[float] = []
    stop = threading.Event()

    def sample() -> None:
        while not stop.wait(0.5):
            query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
            samples.append(float(subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0]))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    yield found
    stop.set()
    thread.join()
    found["utilisation %"] = float(np.mean(samples)) if samples else float("nan")


def _run_in_process(visits: int, method: str) -> None:
    one_run(cifar10(visits), method)


def concurrent(visits: int, method: str, runs: int) -> dict[str, float]:
    """Several runs on one GPU at once, as fractional Ray GPUs place them; seconds include start-up."""
    context = get_context("spawn")
    started = time.perf_counter()
    workers = [context.Process(target=_run_in_process, args=(visits, method)) for _ in range(runs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "visits per second": runs * visits / seconds}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=5000)
    parser.add_argument("--methods", default="pfedhn,fedavg")
    visits, methods = parser.parse_args().visits, parser.parse_args().methods.split(",")
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device here: this script measures a GPU")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    setup = cifar10(visits)
    figures: dict[str, dict[str, float]] = {}

    def note(name: str, values: dict[str, float]) -> None:
        figures[name] = values
        print(f"{name}: " + ", ".join(f"{k} {v:.4g}" for k, v in values.items()), flush=True)

    a = torch.randn(4096, 4096, device=CUDA)
    (a @ a).sum().item()
    started = time.perf_counter()
    for _ in range(20):
        b = a @ a
    b.sum().item()
    note("GEMM", {"TFLOP/s fp32": 20 * 2 * 4096**3 / (time.perf_counter() - started) / 1e12})
    for cohort in (1, 3, 5, 10, 50):
        note(f"local step, cohort {cohort}", local_step(setup, cohort))
    for method in methods:
        with utilisation() as used:
            run = one_run(setup, method)
        note(f"{method}, {visits} visits", {**run, **used})
    bf16 = replace(setup, scenario=setup.scenario.at_precision("bf16"))
    note(f"{methods[0]} in bf16", one_run(bf16, methods[0]))
    for runs in (1, 3, 8):
        with utilisation() as used:
            many = in_lockstep(setup.but(visits=max(100, visits // 10)), methods[0], runs)
        note(f"{runs} {methods[0]} runs in lock-step", {**many, **used})
    for runs in (1, 4):
        with utilisation() as used:
            many = concurrent(max(100, visits // 10), methods[0], runs)
        note(f"{runs} concurrent {methods[0]} runs", {**many, **used})
    out = Path(os.environ.get("OUT", "results/benchmarks"))
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu.json").write_text(json.dumps({"device": torch.cuda.get_device_name(), **figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
