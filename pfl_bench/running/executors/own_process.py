"""A run in a process of its own, whose end, whatever it is, is only that run's.

A separation, not a prison: what such a process may do to files and to other processes of this user is not limited.
"""

import faulthandler
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Generator, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.engine import stop
from pfl_bench.engine.events import Checkpoint, Event, Failure, Progress, RunResult
from pfl_bench.errors import RequestError, one_line, shown
from pfl_bench.running.guard import guarded
from pfl_bench.running.job import MOST_DETAILS, Job

if TYPE_CHECKING:  # Windows has no ForkServerContext
    from multiprocessing.context import ForkServerContext, SpawnContext

EXIT_SECONDS = 5.0
LOOK_SECONDS = 0.5


def run_in_own_process(job: Job, dataset: ArrayDataset) -> Generator[Event, None, None]:
    """The events of a job; a process that ends before its run is over makes the last one a ``Failure``.

    When the run is over, or its events are no longer wanted, the process is killed with all that it started.
    """
    context = _context()
    ours, theirs = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(prefix="pfl-bench-run-", ignore_cleanup_errors=True) as folder:
        crash = Path(folder) / "crash.txt"
        process = context.Process(target=_serve, args=(theirs, job, dataset, dict(os.environ), str(crash)))
        try:
            _start(process)
            theirs.close()
            over = False
            for event in _received(ours, process, job.method):
                yield event
                over = isinstance(event, RunResult | Failure)
                if over:
                    break
            if not over and not stop.asked():
                yield _ended(job.method, process, crash)
        finally:
            _kill(process)
            ours.close()


def _start(process: BaseProcess) -> None:
    try:
        process.start()
    except OSError as error:
        if "AF_UNIX" not in str(error):
            raise
        place = tempfile.gettempdir()
        raise RequestError(f"TMPDIR={shown(place)} is too long a path for the sockets between processes") from error


def _context() -> "ForkServerContext | SpawnContext":
    """Processes forked from a clean one that has the libraries loaded; where that is not safe, fresh ones."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _received(ours: Connection, process: BaseProcess, method: str) -> Generator[Event, None, None]:
    """What the process sends until it ends; asked to stop, it is told so, and sends a last checkpoint."""
    told = False
    while True:
        ready = wait([ours, process.sentinel], timeout=LOOK_SECONDS)
        if stop.asked() and not told and process.pid is not None:
            told = True
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        if not ready:
            continue
        if ours not in ready and not ours.poll():
            return
        try:
            event = ours.recv()
        except (EOFError, OSError):
            return
        except Exception as error:
            yield Failure(f"{method} sent what no run sends: {one_line(error)}", one_line(error))
            return
        if not isinstance(event, Progress | Checkpoint | RunResult | Failure):
            yield Failure(f"{method} sent what no run sends: {type(event).__name__}", type(event).__name__)
            return
        yield event


def _ended(method: str, process: BaseProcess, crash: Path) -> Failure:
    """How a process ended that did not finish its run."""
    process.join(EXIT_SECONDS)
    code = process.exitcode
    if code is not None and code < 0:
        try:
            how = f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            how = f"was ended by signal {-code}"
    else:
        how = "stopped answering" if code is None else f"ended with exit status {code}"
    reason = f"{method}: its process {how} before the run was over"
    try:
        where = crash.read_text(encoding="utf-8", errors="replace")[:MOST_DETAILS]
    except OSError:
        where = ""
    return Failure(reason, f"{reason}\n{where}".strip())


def _kill(process: BaseProcess) -> None:
    if process.pid is None:
        return
    if hasattr(os, "killpg"):
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join(EXIT_SECONDS)


def _serve(theirs: Connection, job: Job, dataset: ArrayDataset, environment: Mapping[str, str], crash: str) -> None:
    """The process: sends a run's events and ends at once, whatever threads are left."""
    status = 1
    try:
        stop.hear(signal.SIGTERM)
        if hasattr(os, "setsid"):
            os.setsid()  # a group of its own: Ctrl-C is for the driver, which kills the group
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        threading.Thread(target=_end_with_parent, args=(Path(crash).parent,), daemon=True).start()
        faulthandler.enable(os.open(crash, os.O_WRONLY | os.O_CREAT), all_threads=False)
        for event in guarded(job, dataset, alone=True, shared=False):
            theirs.send(event)
        status = 0
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(status)


def _end_with_parent(folder: Path) -> None:
    """Even if the driver was killed; its folder goes too."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        shutil.rmtree(folder, ignore_errors=True)
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)
