"""The command ``tune``: what it says."""

import sys
from collections.abc import Sequence
from contextlib import suppress

from pfl_bench.actions.tune import prepare_tuning, run_tuning
from pfl_bench.actions.tune_request import Tunable, TuneRequest
from pfl_bench.engine.stop import exit_status, name_of
from pfl_bench.registry import Plugin
from pfl_bench.running.reuse import Standing
from pfl_bench.spec.run import RunSpec

from .progress import RunProgress
from .signals import named, patiently
from .terminal import make_console, say
from .told import say_failed, say_missing, say_standing


def tune_request(request: TuneRequest, wanted: Tunable, plugins: tuple[Plugin, ...]) -> int:
    """Run what the ledger does not have and print the choices as TOML. 0 if every trial is there, else 1."""
    prepared = prepare_tuning(request, wanted, plugins)
    console, ledger = make_console(), prepared.ledger
    for note in prepared.notes:
        say(console, note)

    def watch(runs: Sequence[RunSpec], standing: Standing) -> RunProgress:
        say_standing(console, standing, ledger)
        return RunProgress(console, runs, set(standing.reused))

    farewell = f"Stopped at once. What ended is kept in {ledger.folder}; the same command goes on from there."
    try:
        with patiently("Stopping: writing checkpoints. Once more stops at once.", farewell):
            tuning = run_tuning(prepared, watch)
    except KeyboardInterrupt as error:
        interruption = named(error)
        with suppress(OSError):  # the terminal may be gone
            kept = f"what ended is kept in {ledger.folder}; the same command goes on from there."
            say(console, f"{name_of(interruption)}: {kept}")
        return exit_status(interruption)
    sys.stdout.write(tuning.toml)
    for line in (*tuning.edges, "Written: " + ", ".join(str(path) for path in tuning.files)):
        say(console, line)
    say_failed(console, tuning.failed, ledger)
    say_missing(console, tuning.absent, ledger)
    return 0 if tuning.complete else 1
