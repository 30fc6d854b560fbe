"""Executors: where runs are computed. ``serial`` in this process, ``ray`` in parallel; results are the same."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.engine.events import Event
from pfl_bench.running.job import Job

Update = tuple[int, Event]
"""Position of the job in the list, and what happened to it."""


Take = Callable[[int, Job], Job | None]
"""Asked with a job and its position just before it starts: the job to execute, or None to leave it."""


def as_it_is(position: int, job: Job) -> Job:
    """The job itself."""
    return job


class Executor(Protocol):
    """Executes jobs and streams what happens; the last event of a job is its result or a failure."""

    def execute(
        self, jobs: Sequence[Job], datasets: Mapping[str, ArrayDataset], take: Take = as_it_is
    ) -> Iterator[Update]:
        """Run all jobs that ``take`` does not leave; ``datasets`` maps a scenario's data set to its arrays."""
        ...
