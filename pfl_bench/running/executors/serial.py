"""One run after another: in this process, or each in one of its own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.engine import stop
from pfl_bench.running.executors import Update
from pfl_bench.running.guard import guarded
from pfl_bench.running.job import Job

from .own_process import run_in_own_process


@dataclass(frozen=True)
class SerialExecutor:
    """Needs nothing but torch. ``apart``: runs with code that is not the package's get a process of their own."""

    apart: bool = True

    def execute(self, jobs: Sequence[Job], datasets: Mapping[str, ArrayDataset]) -> Iterator[Update]:
        """Run the jobs in order."""
        for position, job in enumerate(jobs):
            if stop.asked():
                return
            run = run_in_own_process if self.apart and job.brings_code else guarded
            with closing(run(job, datasets[job.scenario.dataset])) as events:
                for event in events:
                    yield position, event
