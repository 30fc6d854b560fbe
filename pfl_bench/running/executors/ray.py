"""One Ray task per run, or per company of runs in lock-step, over the cores and GPUs of one machine or a cluster.

A task is a stream: progress, checkpoints and the result travel back to the driver, which owns the ledger, so a
cluster needs no shared disk. A data set is put into the object store once; workers read it there without a copy.
"""

import importlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.engine import stop
from pfl_bench.engine.events import Checkpoint, Failure, RunResult
from pfl_bench.errors import RequestError, one_line
from pfl_bench.running.executors import Take, Update, as_it_is
from pfl_bench.running.job import MOST_DETAILS, Job
from pfl_bench.running.lockstep.companies import companies
from pfl_bench.spec.options import split_address
from pfl_bench.text import counted

from .gpus import seeing
from .local_ray import Session, prepare_environment, start
from .ray_stop import run_until_told, tell

WORKER_DEATHS = 3
RUNS_PER_GPU = 4
_sessions: list[Session] = []
_joined: list[str | None] = []
"""The address, None for a Ray of ours, while the connection that stands was made here: another's is not ended."""


@dataclass(frozen=True)
class RayExecutor:
    """``workers`` tasks at a time (default: one per core, or four per GPU), here or on the cluster at ``address``."""

    workers: int | None = None
    address: str | None = None
    device: str = "cpu"

    def execute(
        self, jobs: Sequence[Job], datasets: Mapping[str, ArrayDataset], take: Take = as_it_is
    ) -> Iterator[Update]:
        """Run the jobs; a run whose worker dies goes on from its last checkpoint, three times at the most."""
        kind, _, index = self.device.partition(":")
        if index and self.address is not None:
            raise RequestError(
                f"device {self.device!r} is a GPU of this machine; with the address of a cluster use cuda"
            )
        placed = [_placed(job, kind) for job in jobs]

        def begin(position: int, job: Job) -> Job | None:
            own = take(position, job)
            return None if own is None else _placed(own, kind)

        with seeing(index):
            ray = connect(self.address, self.workers)
            try:
                submit = Submit(self._remote(ray), self._remote(ray, apart=True), _publish(ray, placed, datasets))
                limit = self._limit(ray)
                yield from _drive(ray, submit, placed, companies(placed, datasets, limit), limit, begin)
            finally:
                disconnect(ray)

    def _gpus(self, ray: Any) -> float:
        """GPUs to use, as Ray counts them; 0 for CPU runs, and for Apple's GPU, which it does not know."""
        if not self.device.startswith("cuda"):
            return 0.0
        gpus = float(ray.cluster_resources().get("GPU", 0))
        if not gpus:
            raise RequestError(f"device {self.device!r} is asked for, but Ray sees no GPU")
        return gpus

    def _limit(self, ray: Any) -> int:
        gpus = 1.0 if self.device == "mps" else self._gpus(ray)
        return self.workers or int(gpus * RUNS_PER_GPU or ray.cluster_resources().get("CPU", 1))

    def _remote(self, ray: Any, apart: bool = False) -> Any:
        """The remote function, with a core and, on GPUs, an equal fraction of one; ``apart``: its worker then ends."""
        gpus = self._gpus(ray)
        share = min(1.0, gpus / self._limit(ray)) if gpus else 0
        cores = min(1.0, float(ray.cluster_resources().get("CPU", 1)) / self._limit(ray))
        options: dict[str, Any] = {"max_calls": 1} if apart else {}
        return ray.remote(num_cpus=cores, num_gpus=share, max_retries=0, **options)(_run_company)


@dataclass(frozen=True)
class Submit:
    """Starts tasks: in workers that serve many runs, or, where a run brings code, in one that serves no other."""

    among_others: Any
    apart: Any
    published: Mapping[str, Any]

    def __call__(self, company: Sequence[Job]) -> Any:
        """The stream of a company's events."""
        remote = self.apart if company[0].brings_code else self.among_others
        return remote.remote(company, self.published[company[0].scenario.dataset])


def _run_company(company: Sequence[Job], dataset: ArrayDataset) -> Iterator[Update]:
    """In a worker. What is printed there nobody sees; without end, it would fill the disk."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
    yield from run_until_told(company, dataset)


def import_ray(address: str | None = None) -> Any:
    """The package ray, imported only when it is used. RequestError if it is missing."""
    prepare_environment(local=address is None)
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise RequestError(
            f"the executor ray needs the package 'ray' ({one_line(error)}): pip install 'pfl-bench[ray]', or take the "
            "executor serial"
        ) from error


def connect(address: str | None, workers: int | None) -> Any:
    """Import and start Ray, or join a cluster; a connection that stands is used.

    RequestError if Ray is missing or the address does not answer.
    """
    ray = import_ray(address)
    if ray.is_initialized():
        return ray
    if address is not None:
        check_address(address)
    heard = signal.getsignal(signal.SIGTERM)
    try:
        if address is not None:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True)
        else:
            _sessions.append(Session.open())
            start(ray, workers, _sessions[-1])
        _joined.append(address)
    except Exception as error:
        _close_sessions()
        hint = "; a cluster that authenticates by token needs RAY_AUTH_MODE=token here too" if address else ""
        where = f"reached at {address}" if address else "started"
        raise RequestError(f"Ray could not be {where}: {one_line(error)}{hint}") from error
    except (SystemExit, KeyboardInterrupt) as error:
        _close_sessions()
        if isinstance(error, SystemExit) and error.code == signal.SIGTERM:
            raise stop.Stopped(signal.SIGTERM) from error
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, heard)  # Ray's own would exit with status 15 and say nothing
    return ray


def disconnect(ray: Any) -> None:
    """Leave a cluster, or end a Ray of our own and remove its folder. What the caller had joined before stays."""
    if _joined:
        _joined.clear()
        ray.shutdown()
        _close_sessions()


def _close_sessions() -> None:
    while _sessions:
        _sessions.pop().close()


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


def _placed(job: Job, device: str) -> Job:
    return replace(job, options=replace(job.options, device=device))


def _drive(
    ray: Any, submit: Submit, jobs: Sequence[Job], waiting: list[list[int]], limit: int, take: Take = as_it_is
) -> Iterator[Update]:
    """Run companies, given by their jobs' positions. Who was in one whose worker died goes on alone."""
    current: dict[int, Job] = {}  # those that were taken
    open_ = set(range(len(jobs)))
    deaths = [0] * len(jobs)
    streams: dict[Any, list[int]] = {}
    told = False
    while waiting or streams:
        if stop.asked() and not told:
            tell(ray)
            waiting, told = [], True
        while waiting and len(streams) < limit:
            positions = waiting.pop(0)
            for position in [own for own in positions if own not in current]:
                if (job := take(position, jobs[position])) is not None:
                    current[position] = job
            if positions := [own for own in positions if own in current]:
                streams[submit([current[position] for position in positions])] = positions
        if not streams:
            continue
        ready, _ = ray.wait(list(streams), num_returns=1, timeout=1.0, fetch_local=False)
        for stream in ready:
            try:
                member, event = ray.get(next(stream))
            except StopIteration:
                del streams[stream]
                continue
            except ray.exceptions.RayError as error:
                for position in reversed([own for own in streams.pop(stream) if own in open_]):
                    deaths[position] += 1
                    if stop.asked():
                        continue
                    if deaths[position] > WORKER_DEATHS:
                        open_.discard(position)
                        yield position, _died(current[position].method, deaths[position], error)
                    else:
                        waiting.insert(0, [position])
                continue
            position = streams[stream][member]
            if isinstance(event, Checkpoint):
                current[position] = replace(current[position], resume_from=event.data)
            elif isinstance(event, RunResult | Failure):
                current[position] = current[position].going_on_from(None)
                open_.discard(position)
            yield position, event


def _died(method: str, deaths: int, error: Exception) -> Failure:
    reason = f"{method}: its worker died {counted(deaths, 'time')} ({type(error).__name__})"
    return Failure(reason, str(error)[-MOST_DETAILS:])
