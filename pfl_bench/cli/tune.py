"""The command ``tune``: what it says."""

import sys
from collections.abc import Sequence
from contextlib import suppress

from rich.console import Console

from pfl_bench.actions.tune import Tuning, TuningPrepared, of_suite, prepare_tuning, run_tuning
from pfl_bench.actions.tune_request import Tunable, TuneRequest
from pfl_bench.engine.stop import exit_status, name_of
from pfl_bench.registry import Plugin
from pfl_bench.running.reuse import Standing
from pfl_bench.running.watching import Watch
from pfl_bench.spec.run import RunSpec
from pfl_bench.spec.scenario import without_edition
from pfl_bench.text import counted, first_few

from .progress import RunProgress
from .signals import named, patiently
from .terminal import make_console, say
from .told import say_failed, say_missing, say_standing

MOST_OTHERS = 5
"""How many scenarios are named for which nothing was chosen."""


def tune_request(request: TuneRequest, wanted: Sequence[Tunable], plugins: tuple[Plugin, ...]) -> int:
    """Run what the ledgers do not have and print the choices as TOML. 0 if every trial is there, else 1."""
    suites = prepare_tuning(request, wanted, plugins)
    console, folders = make_console(), ", ".join(str(prepared.ledger.folder) for prepared in suites)
    notes, complete = list(suites[0].notes), True
    farewell = f"Stopped at once. What ended is kept in {folders}; the same command goes on from there."
    try:
        with patiently("Stopping: writing checkpoints. Once more stops at once.", farewell):
            for prepared in suites:
                if len(suites) > 1:
                    notes.append(f"The suite {prepared.wanted.suite.name}:")
                tuning = run_tuning(prepared, _watch(console, prepared, notes))
                sys.stdout.write((of_suite(prepared) if len(suites) > 1 else "") + tuning.toml)
                _report(console, prepared, tuning)
                complete = complete and tuning.complete
    except KeyboardInterrupt as error:
        interruption = named(error)
        with suppress(OSError):  # the terminal may be gone
            kept = f"what ended is kept in {folders}; the same command goes on from there."
            say(console, f"{name_of(interruption)}: {kept}")
        return exit_status(interruption)
    return 0 if complete else 1


def _watch(console: Console, prepared: TuningPrepared, notes: list[str]) -> Watch:
    asked: set[str] = set()

    def watch(runs: Sequence[RunSpec], standing: Standing) -> RunProgress:
        while notes:  # here: a folder that cannot be written has been refused by now
            say(console, notes.pop(0))
        more = {run.id for run in runs} - asked
        if asked and more:
            say(console, f"Best at the edge of a grid, which is widened: {counted(len(more), 'more run')}.")
        asked.update(more)
        say_standing(console, standing, prepared.ledger)
        return RunProgress(console, runs, set(standing.reused))

    return watch


def _report(console: Console, prepared: TuningPrepared, tuning: Tuning) -> None:
    for line in (*tuning.edges, *_others(prepared.wanted), "Written: " + ", ".join(str(path) for path in tuning.files)):
        say(console, line)
    say_failed(console, tuning.failed, prepared.ledger)
    say_missing(console, tuning.absent, prepared.ledger)


def _others(wanted: Tunable) -> list[str]:
    """A line that names the suite's scenarios for which nothing was chosen, if there are any that one may tune on."""
    tuned = {without_edition(scenario.id) for scenario in wanted.scenarios} | set(wanted.suite.held_out)
    others = [scenario.id for scenario in wanted.suite.scenarios if scenario.id not in tuned]
    few = first_few(others, MOST_OTHERS)
    return [f"Nothing was chosen for {few}: --scenarios 'GLOB' tunes on those that it matches"] if others else []
