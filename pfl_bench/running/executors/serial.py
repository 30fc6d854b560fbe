"""One run after another, in this process."""

from collections.abc import Iterator, Mapping, Sequence

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.engine import stop
from pfl_bench.running.executors import Update
from pfl_bench.running.job import Job, run_job


class SerialExecutor:
    """Needs nothing but torch."""

    def execute(self, jobs: Sequence[Job], datasets: Mapping[str, ArrayDataset]) -> Iterator[Update]:
        """Run the jobs in order."""
        for position, job in enumerate(jobs):
            if stop.asked():
                return
            for event in run_job(job, datasets[job.scenario.dataset]):
                yield position, event
