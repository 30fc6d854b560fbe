"""The command ``run``: what it says."""

from collections.abc import Sequence
from contextlib import suppress

from rich.console import Console

from pfl_bench.actions.request import RunRequest, Wanted
from pfl_bench.actions.run import Done, Prepared, absences, compute, prepare
from pfl_bench.engine.stop import exit_status
from pfl_bench.registry import Plugin
from pfl_bench.running.reuse import Standing
from pfl_bench.spec.run import RunSpec

from .progress import RunProgress
from .signals import named, patiently
from .terminal import make_console, say
from .told import say_interrupted, say_outcome, say_standing


def run_request(request: RunRequest, wanted: Wanted, plugins: tuple[Plugin, ...]) -> int:
    """Check what needs torch to be checked, run what is missing, print the table. Returns the exit status."""
    return _compute(make_console(), prepare(request, wanted, plugins))


def _compute(console: Console, prepared: Prepared) -> int:
    plan, ledger = prepared.plan, prepared.ledger
    seen: list[tuple[Standing, RunProgress]] = []

    def watch(runs: Sequence[RunSpec], standing: Standing) -> RunProgress:
        for note in prepared.notes:  # here: a folder that cannot be written has been refused by now
            say(console, note)
        say_standing(console, standing, ledger)
        progress = RunProgress(console, runs, set(standing.reused))
        seen.append((standing, progress))
        return progress

    farewell = f"Stopped at once. What was finished is kept in {ledger.folder}; the same command goes on from there."
    try:
        with patiently("Stopping: writing checkpoints. Once more stops at once.", farewell):
            done = compute(prepared, watch)
        return _report(console, done)
    except KeyboardInterrupt as error:
        interruption = named(error)
        if not seen:
            raise
        ((standing, progress),) = seen
        with suppress(OSError):  # the terminal may be gone
            say_interrupted(console, plan, ledger, standing, progress.results, interruption)
        return exit_status(interruption)


def _report(console: Console, done: Done) -> int:
    """The table, then what went wrong. 0 if all that was asked for is there, or with another driver, else 1."""
    from pfl_bench.results.notes import left_out  # here, and not above: pandas would keep the first step waiting

    from .board import print_leaderboard

    print_leaderboard(console, done.table, {run.scenario.id for run in done.plan.runs})
    say_outcome(console, done.plan, done.outcome, done.ledger)
    for line in absences(done):
        say(console, line)
    folder = done.ledger.folder
    said = (
        f"The tables could not be written to {folder}: {done.unwritten}"
        if done.unwritten
        else "Written: " + ", ".join(str(path) for path in done.written)
    )
    for line in (*left_out(done.problems), said):
        say(console, line)
    return 0 if done.complete else 1
