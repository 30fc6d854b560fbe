"""A run among others: it ends in an event whatever its method does, and leaves what all runs share as it was."""

import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import fields, replace
from functools import lru_cache

import numpy as np

from pfl_bench import global_state
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import Partition
from pfl_bench.engine.events import Event, Failure, RunResult
from pfl_bench.engine.places import Company
from pfl_bench.errors import RequestError, one_line
from pfl_bench.global_state import State
from pfl_bench.registry import Plugin

from .job import Job, as_a_worker, failure, run_job
from .sources import Sources


@contextmanager
def harmless() -> Iterator[None]:
    """For what data sources, partition rules and client models do before anything runs: no exits, no lasting settings.

    RequestError for either.
    """
    before = global_state.read()
    try:
        yield
        if changes := global_state.changed(before, random_numbers=False):
            raise RequestError(f"a data set, partition rule or client model changes {', '.join(changes)}")
    except SystemExit as error:
        raise RequestError(
            f"a data set, partition rule or client model ends the program ({one_line(error)})"
        ) from error
    finally:
        global_state.restore(before)


def guarded(
    job: Job, dataset: ArrayDataset, *, alone: bool = False, shared: bool = True
) -> Generator[Event, None, None]:
    """Execute a job; its result becomes a ``Failure`` if the run changed what others depend on, or ran another text.

    ``alone``: the process is this run's, so that an interruption is its own doing too. ``shared``: others have the same
    arrays; code that is not the package's then works on a copy.
    """
    with as_a_worker():
        before = global_state.read()
        try:
            yield from _watched(job, dataset, before, shared)
        except KeyboardInterrupt as error:
            if not alone:
                raise
            yield failure(job.method, error)
        except Exception as error:  # a plug-in that cannot be loaded here
            yield failure(job.method, error)
        finally:
            global_state.restore(before)


def _watched(job: Job, dataset: ArrayDataset, before: State, shared: bool) -> Generator[Event, None, None]:
    _ = job.spec  # loads plug-ins
    wrong = _edited(job)
    if wrong:
        yield Failure(wrong, wrong)
        return
    own = dataset
    if job.brings_code and shared:  # PyTorch writes through numpy's read-only flag, also into Ray's store
        own, job = deepcopy(dataset), replace(job, partition=deepcopy(job.partition))
    hashes = _hashes(own, job.partition) if job.brings_code else {}
    for event in run_job(job, own):
        if isinstance(event, RunResult):
            found = _hashes(own, job.partition) if hashes else {}
            spoilt = [name for name, sha256 in hashes.items() if found[name] != sha256]
            wrong = _first(
                _said(f"{job.method} changed", global_state.changed(before)),
                _said(f"{job.method} wrote into", spoilt),
                _edited(job),
            )
        yield Failure(wrong, wrong) if wrong else event


def watched(job: Job, dataset: ArrayDataset, company: Company) -> Iterator[Event]:
    """Execute a job of the package's own code in company; a ``Failure`` if it ran another text than was planned.

    What all runs share is watched by who brings them together.
    """
    _ = job.spec
    wrong = _edited(job)
    if wrong:
        yield Failure(wrong, wrong)
        return
    for event in run_job(job, dataset, company):
        wrong = _edited(job) if isinstance(event, RunResult) else ""
        yield Failure(wrong, wrong) if wrong else event


def _said(what: str, names: Sequence[str]) -> str:
    return f"{what} {', '.join(names)}, which other runs depend on" if names else ""


def _first(*problems: str) -> str:
    return next((problem for problem in problems if problem), "")


def _edited(job: Job) -> str:
    """Which files are not what they were when the run was planned, where they can be seen from here; "" if none."""
    found = _sources(job.plugins).read_again().of(job.spec) if job.sources else {}
    files = [key for key, sha256 in job.sources.items() if found.get(key, "") not in ("", sha256)]
    if not files:
        return ""
    return f"{', '.join(files)} changed since the run was planned; the same command runs it as it is now"


@lru_cache(maxsize=8)
def _sources(plugins: tuple[Plugin, ...]) -> Sources:
    """One for all runs of a process: finding what imports what takes longer than a small run."""
    return Sources(plugins)


def _hashes(dataset: ArrayDataset, partition: Partition) -> dict[str, str]:
    """Hashes of what is not a run's to change, by name."""
    values = {field.name.replace("_", " "): getattr(dataset, field.name) for field in fields(dataset)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    found = {name: hashlib.sha256(array.data).hexdigest() for name, array in arrays.items()}
    return {**found, "the split": partition.sha256()}
