"""Whether methods do on a GPU what they do on a CPU: ``python -m tests.benchmarks.gpu_agreement [--device cuda]``.

Every method runs a short scenario of a dense model and one of a convolutional one, with the back-end ``loop`` on the
CPU and with the one that the device gets; what is compared is the mean test loss of its clients, in percent of the
CPU's. Arithmetic in another order makes it differ a little, and more with every step; so the CPU's own back-end
``vmap`` is measured too: what it differs by is what nobody is to blame for.
"""

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from pfl_bench.engine.events import Failure, RunResult
from pfl_bench.registry import METHODS
from pfl_bench.running.job import make_job, run_job
from pfl_bench.spec.options import Options
from pfl_bench.testing.setup import TinySetup, tiny_setup

Figures = dict[str, Any]


def setups() -> dict[str, TinySetup]:
    """Dense with ragged batches, and convolutional."""
    dense = tiny_setup("digits", rule={"rule": "dirichlet", "alpha": 0.3}, clients=10)
    images = tiny_setup("synthetic:classes=4,n=400,side=32,channels=3", model="lenet")
    return {"mlp": dense.but(visits=40, eval_every=20), "lenet": images.but(local_steps=10)}


def loss_of(method: str, setup: TinySetup, options: Options) -> tuple[float, float, str]:
    """Mean test loss of the clients at the end, seconds, and what went wrong if something did."""
    started = time.perf_counter()
    try:
        *_, end = run_job(make_job(setup.spec(method), setup.partition, options), setup.dataset)
    except Exception as error:  # whatever it is, the other methods are measured
        return np.nan, time.perf_counter() - started, f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - started
    if isinstance(end, Failure):
        return np.nan, seconds, end.reason + "\n" + end.details
    assert isinstance(end, RunResult)
    if end.status != "finished":
        return np.nan, seconds, f"{end.status}: {end.reason}"
    moment = end.facts["official_moment"]
    return float(end.summary[moment]["last"]["log_loss"]), seconds, ""


def compare(method: str, model: str, device: str) -> Figures:
    """One method on one setup, three ways."""
    setup = setups()[model]
    reference, _, wrong_here = loss_of(method, setup, Options(backend="loop"))
    stacked, _, _ = loss_of(method, setup, Options(backend="vmap"))
    found, seconds, wrong = loss_of(method, setup, Options(device=device))
    percent = {name: 100 * (value / reference - 1) for name, value in (("there", found), ("vmap", stacked))}
    return {"method": method, "model": model, "loss": reference, **percent, "seconds": seconds, "cpu": wrong_here,
            "wrong": wrong}  # fmt: skip


def main() -> None:
    """Compare every method; one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--methods", default=",".join(METHODS.names()))
    given = parser.parse_args()
    names = given.methods.split(",")
    with ProcessPoolExecutor(given.processes, get_context("spawn")) as pool:
        tasks = [pool.submit(compare, name, model, given.device) for name in names for model in setups()]
        found = [task.result() for task in tasks]
    for row in found:
        wrong = row["wrong"].splitlines()[0][:120] if row["wrong"] else ""
        print(f"{row['method']:12} {row['model']:6} loss {row['loss']:.4f}: {row['there']:+.4f} % there, "
              f"{row['vmap']:+.4f} % by vmap, {row['seconds']:.1f} s {wrong}", flush=True)  # fmt: skip
    out = Path(os.environ.get("OUT", "results/benchmarks"))
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu_agreement.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
