"""A run as something that can travel to a worker: plain data in, a stream of events out."""

import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import Partition
from pfl_bench.engine.events import Event, Failure, RunResult
from pfl_bench.engine.method import HOOKS
from pfl_bench.engine.process import keep_freed_memory
from pfl_bench.engine.simulator import simulate
from pfl_bench.errors import RequestError, one_line, placed
from pfl_bench.registry import METHODS, Plugin, load_plugin
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec, make_config
from pfl_bench.spec.scenario import Scenario

from .provenance import hardware, versions


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

    @cached_property
    def spec(self) -> RunSpec:
        """The run, with its configuration rebuilt and validated."""
        for plugin in self.plugins:
            load_plugin(plugin)
        return RunSpec(self.method, make_config(self.method, self.config, "job"), self.scenario, self.seed)

    def going_on_from(self, data: bytes | None) -> "Job":
        """The same job, to be resumed from a checkpoint."""
        return replace(self, resume_from=data)


def make_job(spec: RunSpec, partition: Partition, options: Options, plugins: tuple[Plugin, ...] = ()) -> Job:
    """Pack a run for travelling."""
    return Job(spec.method, spec.config.model_dump(), spec.scenario, spec.seed, partition, options, plugins)


def method_error(method: str, error: BaseException) -> str:
    """An exception on one line, with the place in the method's own file that it came through."""
    try:
        file = METHODS.entry(method).origin
    except RequestError:
        return one_line(error)
    return placed(error, file, HOOKS)


def run_job(job: Job, dataset: ArrayDataset) -> Iterator[Event]:
    """Execute a job on one torch thread. An exception becomes a ``Failure``; it never stops other runs."""
    threads = torch.get_num_threads()
    keep_freed_memory()
    torch.set_num_threads(1)  # results must not depend on how many workers share the machine
    torch.backends.cudnn.deterministic = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        for event in simulate(job.spec, dataset, job.partition, job.options, job.resume_from):
            if isinstance(event, RunResult):
                event.facts.update(versions=versions(), hardware=hardware())
            yield event
    except Exception as error:
        yield Failure(method_error(job.method, error), traceback.format_exc())
    finally:
        torch.set_num_threads(threads)
