"""Which runs of a request this driver computes: those that nobody has when their turn comes.

Several drivers may share a results folder. Each looks at a run again when it is about to start it: another driver may
have it, or have finished it by then, or have been killed and left a checkpoint.
"""

import time
from collections.abc import Mapping, Sequence

from pfl_bench.engine import stop
from pfl_bench.results.ledger import Ledger
from pfl_bench.results.record import Record
from pfl_bench.spec.run import RunSpec

from .job import Job
from .keeping import Keeper
from .reuse import Basis, review

LOOK_SECONDS = 1.0
"""How often a driver looks whether others are done with the last runs."""


class Turns:
    """``elsewhere``: records of runs that another driver finished meanwhile, by run id; ``held``: ids of runs that
    another driver had when their turn came."""

    def __init__(
        self, runs: Sequence[RunSpec], bases: Mapping[str, Basis], ledger: Ledger, keeper: Keeper, fresh: bool
    ) -> None:
        self._runs, self._bases, self._ledger, self._keeper, self._fresh = runs, bases, ledger, keeper, fresh
        self._stamps = {run.id: ledger.stamp(run.id) for run in runs} if fresh else {}
        self.elsewhere: dict[str, Record] = {}
        self.held: list[str] = []

    def begin(self, run: RunSpec, job: Job) -> Job | None:
        """Take a run: its job, from where it can go on; None if it is another driver's, or done."""
        if not self._ledger.take(run.id):
            self.held.append(run.id)
            return None
        if (record := self._done(run)) is not None:
            self.elsewhere[run.id] = record
            self._ledger.give_back(run.id)
            return None
        standing = review([run], self._bases, self._ledger, self._fresh)
        self._keeper.begin(run.id, standing)
        return job.going_on_from(self._ledger.checkpoint(run.id) if run.id in standing.resumable else None)

    def _done(self, run: RunSpec) -> Record | None:
        """The record of a run that has been finished since the request was looked at."""
        if self._fresh and self._ledger.stamp(run.id) == self._stamps[run.id]:
            return None
        return review([run], self._bases, self._ledger).reused.get(run.id)

    def await_others(self) -> list[RunSpec]:
        """Wait until one of the runs that others have is done or free. Returns those that are free.

        Stopped if a signal asks for it.
        """
        waiting, self.held = [run for run in self._runs if run.id in set(self.held)], []
        while True:
            done = {run.id: record for run in waiting if (record := self._done(run)) is not None}
            self.elsewhere.update(done)
            free = [run for run in waiting if run.id not in done and self._ledger.is_free(run.id)]
            if done or free:
                rest = {run.id for run in free} | set(done)
                self.held = [run.id for run in waiting if run.id not in rest]
                return free
            stop.raise_if_asked()
            time.sleep(LOOK_SECONDS)
