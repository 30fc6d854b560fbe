"""What ``run`` says besides the table: before the first run, when it is interrupted, and at the end."""

from collections.abc import Collection, Mapping, Sequence

from rich.console import Console

from pfl_bench.actions.run import gone
from pfl_bench.engine.stop import name_of
from pfl_bench.results.ledger import Ledger
from pfl_bench.running.provenance import commit
from pfl_bench.running.reuse import Standing
from pfl_bench.running.runner import Outcome, Plan
from pfl_bench.text import agreeing, counted, first_few

from .terminal import say


def say_standing(console: Console, standing: Standing, ledger: Ledger) -> None:
    """Runs that are there and are computed anew all the same, or from the start, or go on under another commit."""
    for reason, ids in _by_reason(standing.renewed).items():
        say(console, f"Computed anew, the old runs kept in aside/, because {reason} changed since: {ids}")
    for reason, ids in _by_reason(standing.restarted).items():
        say(console, f"Started over instead of going on, because of {reason}: {ids}")
    if standing.resumable:
        say(console, f"Going on from checkpoints: {first_few(list(standing.resumable))}")
    now = commit().name
    others = {
        run_id: record.git_commit or "unknown"
        for run_id, record in standing.resumable.items()
        if record.git_commit != now
    }
    for other, ids in _by_reason(others).items():
        say(console, f"Going on from checkpoints of commit {other}, which the runs will say (begun_under): {ids}")
    _say_moved(console, ledger)


def _runs(plan: Plan) -> str:
    return f"{counted(len(plan.runs), 'run')} {agreeing(len(plan.runs), 'was', 'were')}"


def say_outcome(console: Console, plan: Plan, outcome: Outcome, ledger: Ledger) -> None:
    """What was not computed, and what went wrong."""
    if outcome.reused:
        console.print(f"{len(outcome.reused)} of {_runs(plan)} finished before (--fresh repeats them).")
    if outcome.elsewhere:
        say(console, f"{len(outcome.elsewhere)} of {_runs(plan)} computed by other drivers meanwhile.")
    say_failed(console, outcome.failed, ledger)
    _say_moved(console, ledger)


def say_failed(console: Console, failed: Mapping[str, str], ledger: Ledger) -> None:
    """Which runs failed, and where their tracebacks lie."""
    for run_id, reason in failed.items():
        say(console, f"Failed: {run_id}: {reason}")
        if (trace := ledger.error_file(run_id)) is not None:
            say(console, f"  its traceback: {trace}")


def say_missing(console: Console, absent: Sequence[str], ledger: Ledger) -> None:
    """Which runs ended and are gone; nothing where none is."""
    if absent:
        say(console, gone(absent, ledger))


def say_interrupted(
    console: Console,
    plan: Plan,
    ledger: Ledger,
    standing: Standing,
    ended: Collection[str],
    interruption: KeyboardInterrupt,
) -> None:
    """What is kept, and how to go on."""
    done = len(standing.reused) + len(ended)
    rest = [run.id for run in plan.runs if run.id not in standing.reused and run.id not in ended]
    records = [ledger.record(run_id) for run_id in rest] + [ledger.begun(run_id) for run_id in rest]
    begun = sum(record is not None and record.status == "unfinished" for record in records)
    kept = (
        f"{done} of {counted(len(plan.runs), 'run')} {agreeing(done, 'is', 'are')} finished and kept in {ledger.folder}"
    )
    if standing.fresh:
        others = "what there was of the others is kept. The same command repeats all, without --fresh what is missing."
    else:
        others = f"{begun} more have a checkpoint. The same command goes on from there."
    console.print()
    say(console, f"{name_of(interruption)}: {kept}; {others}")
    _say_moved(console, ledger)


def _by_reason(reasons: Mapping[str, str]) -> dict[str, str]:
    """The first runs with each reason, in words."""
    found: dict[str, list[str]] = {}
    for run_id, reason in reasons.items():
        found.setdefault(reason, []).append(run_id)
    return {reason: first_few(ids) for reason, ids in found.items()}


def _say_moved(console: Console, ledger: Ledger) -> None:
    while ledger.moved:
        say(console, ledger.moved.pop(0))
