"""A run as something that can travel to a worker: plain data in, a stream of events out."""

import importlib.metadata
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import Partition
from pfl_bench.engine.events import Event, Failure, RunResult
from pfl_bench.engine.method import HOOKS, Method
from pfl_bench.engine.places import Company, alone
from pfl_bench.engine.process import keep_freed_memory
from pfl_bench.engine.simulator import simulate
from pfl_bench.errors import RequestError, one_line, placed
from pfl_bench.registry import METHODS, MODELS, SHIFTS, Plugin, base_name, load_plugin
from pfl_bench.spec.fields import plain_values
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec, make_config
from pfl_bench.spec.scenario import Scenario

from .provenance import hardware, versions

MOST_DETAILS = 100_000
"""Characters of a traceback that are kept."""


@dataclass(frozen=True)
class Job:
    """One run for a worker. Configurations travel as values: a worker learns a plug-in's classes from its text."""

    method: str
    config: dict[str, Any]
    scenario: Scenario
    seed: int
    partition: Partition
    options: Options
    plugins: tuple[Plugin, ...] = ()
    resume_from: bytes | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the files that decide the numbers, as they were when the run was planned (``sources.Sources``)."""

    @property
    def brings_code(self) -> bool:
        """Whether a method, client model or shift of the run is not the package's own, and can be loaded elsewhere."""
        shifts = (SHIFTS.get(spec.rule).make for spec in self.scenario.shift)
        of_run = METHODS.get(self.method), *(MODELS.get(base_name(name)) for name in self.scenario.models), *shifts
        if all(thing.__module__.startswith("pfl_bench.") for thing in of_run):
            return False
        groups = (registry.group for registry in (METHODS, MODELS, SHIFTS))
        return bool(self.plugins) or any(importlib.metadata.entry_points(group=group) for group in groups)

    @cached_property
    def spec(self) -> RunSpec:
        """The run, with its configuration rebuilt and validated."""
        for plugin in self.plugins:
            load_plugin(plugin)
        return RunSpec(self.method, make_config(self.method, self.config, "job"), self.scenario, self.seed)

    def going_on_from(self, data: bytes | None) -> "Job":
        """The same job, to be resumed from a checkpoint."""
        return replace(self, resume_from=data)


def make_job(
    spec: RunSpec, partition: Partition, options: Options, plugins: tuple[Plugin, ...] = (),
    sources: Mapping[str, str] | None = None,
) -> Job:  # fmt: skip
    """Pack a run for travelling."""
    config = plain_values(spec.config)
    return Job(spec.method, config, spec.scenario, spec.seed, partition, options, plugins, sources=dict(sources or {}))


def method_error(method: str, error: BaseException) -> str:
    """An exception on one line, with the place in the method's file that it came through.

    Where a method inherits from another, that one's file is the method's too.
    """
    try:
        classes = set(METHODS.get(method).__mro__) - set(Method.__mro__)
    except RequestError:
        return one_line(error)
    files = {str(getattr(sys.modules.get(cls.__module__), "__file__", "")) for cls in classes}
    return placed(error, files, HOOKS)


def failure(method: str, error: BaseException) -> Failure:
    """What is reported of an exception that ended a run: one line, and the traceback's last part."""
    return Failure(method_error(method, error), traceback.format_exc()[-MOST_DETAILS:])


@contextmanager
def as_a_worker() -> Iterator[None]:
    """PyTorch's settings for runs: one thread, so that results do not depend on how many workers share the machine."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = torch.get_num_threads(), cudnn.deterministic, cudnn.allow_tf32, matmul.allow_tf32
    torch.set_num_threads(1)
    cudnn.deterministic = True
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cudnn.deterministic, cudnn.allow_tf32, matmul.allow_tf32 = before[1:]


def compute_job(job: Job, dataset: ArrayDataset, company: Company = alone) -> Iterator[Event]:
    """Execute a job on one torch thread. Exceptions pass through."""
    keep_freed_memory()
    with as_a_worker():
        for event in simulate(job.spec, dataset, job.partition, job.options, job.resume_from, company):
            if isinstance(event, RunResult):
                event.facts.update(versions=versions(), hardware=hardware())
            yield event


def run_job(job: Job, dataset: ArrayDataset, company: Company = alone) -> Iterator[Event]:
    """Execute a job on one torch thread. An exception becomes a ``Failure``; it never stops other runs."""
    try:
        yield from compute_job(job, dataset, company)
    except (GeneratorExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # exit() and exceptions of any kind end this run and no other
        yield failure(job.method, error)
