"""How workers, on this machine or another of the cluster, learn that the driver was asked to stop."""

import importlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.engine import stop
from pfl_bench.running.executors import Update
from pfl_bench.running.job import Job
from pfl_bench.running.lockstep.together import run_together

LOOK_SECONDS = 0.5


def tell(ray: Any) -> None:
    """Tell the workers of this driver. They need not hear it: then their last checkpoints stand."""
    with suppress(Exception):
        _board()._internal_kv_put(_key(ray), b"stop")


def run_until_told(jobs: Sequence[Job], dataset: ArrayDataset) -> Iterator[Update]:
    """``run_together`` in a worker: a thread looks whether it shall stop."""
    over = threading.Event()
    stop.forget()
    threading.Thread(target=_look, args=(over,), daemon=True).start()
    try:
        yield from run_together(jobs, dataset, alone=True)
    finally:
        over.set()


def _look(over: threading.Event) -> None:
    ray = importlib.import_module("ray")
    with suppress(Exception):
        while not over.wait(LOOK_SECONDS):
            if _board()._internal_kv_exists(_key(ray)):
                stop.ask()
                return


def _board() -> Any:
    """Ray's table of keys and values, which every process of a cluster reads."""
    return importlib.import_module("ray.experimental.internal_kv")


def _key(ray: Any) -> bytes:
    return f"pfl-bench-stop-{ray.get_runtime_context().get_job_id()}".encode()
