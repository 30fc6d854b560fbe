"""Several runs as one stream of events, in lock-step. Each ends as it would alone, and so do its numbers."""

from collections.abc import Generator, Sequence
from contextlib import closing

from pfl_bench import global_state
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.engine import stop
from pfl_bench.engine.events import Event, Failure, RunResult
from pfl_bench.running.executors import Update
from pfl_bench.running.guard import guarded, watched
from pfl_bench.running.job import Job, as_a_worker, failure

from .meeting import at_meeting, meet
from .strand import Answer, Asked, Ended, Said, Strand


def run_together(jobs: Sequence[Job], dataset: ArrayDataset, *, alone: bool = False) -> Generator[Update, None, None]:
    """Execute jobs of the package's own code; positions are those in ``jobs``. ``alone``: see ``guard.guarded``.

    A run that changes what others depend on cannot be told from those that it shares a process with. So where that
    is found, all that have no result yet start anew, one after another.
    """
    if len(jobs) == 1:
        yield from ((0, event) for event in guarded(jobs[0], dataset, alone=alone))
        return
    open_ = set(range(len(jobs)))
    with as_a_worker():
        before = global_state.read()
        try:
            with closing(_in_lockstep(jobs, dataset)) as updates:
                for position, event in updates:
                    if isinstance(event, RunResult) and global_state.changed(before):
                        break
                    if isinstance(event, RunResult | Failure):
                        open_.discard(position)
                    yield position, event
                else:
                    return
        finally:
            global_state.restore(before)
    for position in sorted(open_):
        if stop.asked():
            return
        yield from ((position, event) for event in guarded(jobs[position], dataset, alone=alone))


def _in_lockstep(jobs: Sequence[Job], dataset: ArrayDataset) -> Generator[Update, None, None]:
    strands = [Strand(lambda strand, job=job: _events(strand, job, dataset, len(jobs))) for job in jobs]  # type: ignore[misc]
    answers = dict.fromkeys(range(len(jobs)), Answer())
    try:
        while answers:
            asked: dict[int, Asked] = {}
            for position, answer in answers.items():
                heard = strands[position].resume(answer)
                while isinstance(heard, Said):
                    yield position, heard.event
                    heard = strands[position].resume()
                if isinstance(heard, Asked):
                    asked[position] = heard
                elif isinstance(heard, Ended) and heard.error is not None:
                    raise heard.error
            answers = dict(zip(asked, meet(list(asked.values())), strict=True))
    finally:
        for strand in strands:
            strand.close()


def _events(strand: Strand, job: Job, dataset: ArrayDataset, company: int) -> Generator[Event, None, None]:
    try:
        for event in watched(job, dataset, lambda backend: at_meeting(strand, backend)):
            if isinstance(event, RunResult):
                event.facts["lockstep"] = company
            yield event
    except Exception as error:
        yield failure(job.method, error)
