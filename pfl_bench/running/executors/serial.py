"""One run, or one company of runs, after another: in this process, or a run in one of its own."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.engine import stop
from pfl_bench.running.executors import Take, Update, as_it_is
from pfl_bench.running.job import Job
from pfl_bench.running.lockstep.companies import companies
from pfl_bench.running.lockstep.together import run_together

from .own_process import run_in_own_process


@dataclass(frozen=True)
class SerialExecutor:
    """Needs nothing but torch. ``apart``: runs with code that is not the package's get a process of their own."""

    apart: bool = True

    def execute(
        self, jobs: Sequence[Job], datasets: Mapping[str, ArrayDataset], take: Take = as_it_is
    ) -> Iterator[Update]:
        """Run the jobs in order."""
        for positions in companies(jobs, datasets):
            if stop.asked():
                return
            taken = {position: job for position in positions if (job := take(position, jobs[position])) is not None}
            if not taken:
                continue
            company, places = list(taken.values()), list(taken)
            with closing(self._run(company, datasets[company[0].scenario.dataset])) as updates:
                for member, event in updates:
                    yield places[member], event

    def _run(self, company: Sequence[Job], dataset: ArrayDataset) -> Generator[Update, None, None]:
        if self.apart and company[0].brings_code:
            (job,) = company
            with closing(run_in_own_process(job, dataset)) as events:
                yield from ((0, event) for event in events)
        else:
            yield from run_together(company, dataset)
