"""Executors: where runs are computed. ``serial`` in this process, ``ray`` in parallel; results are the same."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.engine.events import Event
from pfl_bench.running.job import Job

Update = tuple[int, Event]
"""Position of the job in the list, and what happened to it."""


class Executor(Protocol):
    """Executes jobs and streams what happens; the last event of a job is its result or a failure."""

    def execute(self, jobs: Sequence[Job], datasets: Mapping[str, ArrayDataset]) -> Iterator[Update]:
        """Run all jobs; ``datasets`` maps a scenario's data set to its arrays."""
        ...
