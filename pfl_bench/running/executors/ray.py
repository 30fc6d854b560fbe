"""One Ray task per run, over the cores and GPUs of one machine or a cluster.

A task is a stream: progress, checkpoints and the result travel back to the driver, which owns the ledger, so a
cluster needs no shared disk. A data set is put into the object store once; workers read it there without a copy.
"""

import importlib
import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.engine.events import Checkpoint, Failure, RunResult
from pfl_bench.errors import RequestError, one_line
from pfl_bench.running.executors import Update
from pfl_bench.running.job import Job, run_job
from pfl_bench.spec.options import split_address

from .gpus import visible_name

WORKER_DEATHS = 3
RUNS_PER_GPU = 4


@dataclass(frozen=True)
class RayExecutor:
    """``workers`` runs at a time (default: one per core, or four per GPU), here or on the cluster at ``address``."""

    workers: int | None = None
    address: str | None = None
    device: str = "cpu"

    def execute(self, jobs: Sequence[Job], datasets: Mapping[str, ArrayDataset]) -> Iterator[Update]:
        """Run the jobs; a run whose worker dies goes on from its last checkpoint, three times at the most."""
        kind, _, index = self.device.partition(":")
        if index:  # a worker sees only its own GPU, under the name "cuda"
            if self.address is not None:
                raise RequestError(
                    f"device {self.device!r} is a GPU of this machine; with the address of a cluster use cuda"
                )
            os.environ["CUDA_VISIBLE_DEVICES"] = visible_name(int(index), os.environ.get("CUDA_VISIBLE_DEVICES"))
        placed = [replace(job, options=replace(job.options, device=kind)) for job in jobs]
        ray = connect(self.address, self.workers)
        try:
            yield from _drive(ray, self._remote(ray), placed, _publish(ray, placed, datasets), self._limit(ray))
        finally:
            ray.shutdown()

    def _gpus(self, ray: Any) -> float:
        """GPUs to use; 0 for CPU runs."""
        if self.device == "cpu":
            return 0.0
        gpus = float(ray.cluster_resources().get("GPU", 0))
        if not gpus:
            raise RequestError(f"device {self.device!r} is asked for, but Ray sees no GPU")
        return gpus

    def _limit(self, ray: Any) -> int:
        gpus = self._gpus(ray)
        return self.workers or int(gpus * RUNS_PER_GPU or ray.cluster_resources().get("CPU", 1))

    def _remote(self, ray: Any) -> Any:
        """The remote function, with a core and, on GPUs, an equal fraction of one."""
        gpus = self._gpus(ray)
        share = min(1.0, gpus / self._limit(ray)) if gpus else 0
        cores = min(1.0, float(ray.cluster_resources().get("CPU", 1)) / self._limit(ray))
        return ray.remote(num_cpus=cores, num_gpus=share, max_retries=0)(run_job)


def import_ray() -> Any:
    """The package ray, imported only when it is used. RequestError if it is missing."""
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise RequestError("the executor ray needs the package 'ray'; use the executor serial without it") from error


def connect(address: str | None, workers: int | None) -> Any:
    """Import and start Ray, or join a cluster; a connection that stands is used.

    RequestError if Ray is missing or the address does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ["OMP_NUM_THREADS"] = "1"
    ray = import_ray()
    if ray.is_initialized():
        return ray
    if address is not None:
        check_address(address)
    # "local": a Ray of our own even where another run's is going, which would take ours along when it ends
    own = {"address": "local", "num_cpus": workers, "include_dashboard": False}
    start: dict[str, Any] = {"address": address} if address else own
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, configure_logging=True, **start)
    except Exception as error:
        hint = "; a cluster that authenticates by token needs RAY_AUTH_MODE=token here too" if address else ""
        where = f"reached at {address}" if address else "started"
        raise RequestError(f"Ray could not be {where}: {one_line(error)}{hint}") from error
    return ray


def check_address(address: str, timeout: float = 5.0) -> None:
    """RequestError unless something listens at HOST:PORT; Ray itself would try for minutes."""
    place = split_address(address)
    if place is None:
        return
    try:
        socket.create_connection(place, timeout).close()
    except OSError as error:
        raise RequestError(f"nothing answers at {address} ({one_line(error)})") from error


def _publish(ray: Any, jobs: Sequence[Job], datasets: Mapping[str, ArrayDataset]) -> dict[str, Any]:
    return {name: ray.put(datasets[name]) for name in dict.fromkeys(job.scenario.dataset for job in jobs)}


def _drive(ray: Any, remote: Any, jobs: Sequence[Job], published: dict[str, Any], limit: int) -> Iterator[Update]:
    waiting = list(range(len(jobs)))
    current = list(jobs)
    deaths = [0] * len(jobs)
    streams: dict[Any, int] = {}
    while waiting or streams:
        while waiting and len(streams) < limit:
            position = waiting.pop(0)
            job = current[position]
            streams[remote.remote(job, published[job.scenario.dataset])] = position
        ready, _ = ray.wait(list(streams), num_returns=1, timeout=1.0, fetch_local=False)
        for stream in ready:
            position = streams[stream]
            try:
                event = ray.get(next(stream))
            except StopIteration:
                del streams[stream]
                continue
            except ray.exceptions.RayError as error:
                del streams[stream]
                deaths[position] += 1
                if deaths[position] > WORKER_DEATHS:
                    yield (
                        position,
                        Failure(f"its worker died {deaths[position]} times: {one_line(error)}", str(error)),
                    )
                else:
                    waiting.insert(0, position)
                continue
            if isinstance(event, Checkpoint):
                current[position] = replace(current[position], resume_from=event.data)
            elif isinstance(event, RunResult | Failure):
                current[position] = current[position].going_on_from(None)
            yield position, event
