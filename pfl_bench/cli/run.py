"""The command ``run``."""

import warnings
from contextlib import closing, suppress
from typing import Literal

from rich.console import Console

from pfl_bench.data.store import default_data_dir
from pfl_bench.engine.events import Event, RunResult
from pfl_bench.engine.stop import exit_status
from pfl_bench.errors import one_line
from pfl_bench.registry import METHODS, Plugin
from pfl_bench.results.ledger import Ledger
from pfl_bench.running.executors import Executor
from pfl_bench.running.executors.choice import choose_executor
from pfl_bench.running.notes import notes_of
from pfl_bench.running.reuse import Standing, review
from pfl_bench.running.runner import Outcome, Plan, execute, make_plan, missing, resolve_device
from pfl_bench.running.tracking import Tracking
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec, make_config, plan_runs

from .progress import RunProgress
from .request import RunRequest, Wanted
from .signals import named, patiently
from .terminal import make_console, say
from .told import say_interrupted, say_missing, say_outcome, say_standing


def _plan(request: RunRequest, wanted: Wanted, plugins: tuple[Plugin, ...], device: str) -> Plan:
    for method, values in wanted.overrides.items():
        make_config(method, values, "--set")
    methods = METHODS.loaded(wanted.methods) if wanted.every_method else wanted.methods
    runs = plan_runs(methods, wanted.scenarios, wanted.seeds, wanted.suite, wanted.overrides)
    state: Literal["memory", "disk"] = "disk" if request.state == "disk" else "memory"
    options = Options(device=device, backend=request.backend, state=state, lockstep=request.lockstep)
    return make_plan(wanted.suite.name, runs, request.data_dir or default_data_dir(), options, plugins)


def run_request(request: RunRequest, wanted: Wanted, plugins: tuple[Plugin, ...]) -> int:
    """Check what needs torch to be checked, run what is missing, print the table. Returns the exit status."""
    console = make_console()
    METHODS.discover()
    for name, reason in METHODS.broken.items():
        warnings.warn(f"method {name!r} is left out, it could not be loaded: {reason}", stacklevel=1)
    on_cluster = request.address is not None and request.device == "cuda"  # this machine may have none
    device = "cuda" if on_cluster else resolve_device(request.device)
    executor = choose_executor(request.executor, request.workers, request.address, device, request.in_process)
    plan = _plan(request, wanted, plugins, device)
    for note in notes_of(plan):
        say(console, f"Note: {note}")
    ledger = Ledger(request.out / plan.suite)
    with closing(Tracking.open(request.trackers, ledger.folder)) as tracking, ledger.lock():
        standing = review(plan.runs, plan.bases, ledger, request.fresh)
        ended: set[str] = set()
        try:
            outcome = _compute(console, plan, ledger, executor, standing, tracking, ended)
            return _conclude(console, plan, outcome, ledger)
        except KeyboardInterrupt as error:
            interruption = named(error)
            with suppress(OSError):  # the terminal may be gone
                say_interrupted(console, plan, ledger, standing, ended, interruption)
            return exit_status(interruption)


def _compute(
    console: Console, plan: Plan, ledger: Ledger, executor: Executor, standing: Standing, tracking: Tracking,
    ended: set[str],
) -> Outcome:  # fmt: skip
    """Run what is missing; ``ended`` receives the runs that got their result."""
    say_standing(console, standing, ledger)

    def listen(run: RunSpec, event: Event) -> None:
        if isinstance(event, RunResult):
            ended.add(run.id)
        progress.listen(run, event)
        tracking.listen(run, event)

    farewell = f"Stopped at once. What was finished is kept in {ledger.folder}; the same command goes on from there."
    with (
        patiently("Stopping: writing checkpoints. Once more stops at once.", farewell),
        RunProgress(console, plan.runs, set(standing.reused)) as progress,
    ):
        return execute(plan, ledger, executor, listen, standing)


def _conclude(console: Console, plan: Plan, outcome: Outcome, ledger: Ledger) -> int:
    """Write the tables, then show them. 0 if everything that was asked for is there, else 1."""
    # Here, and not above: pandas and SciPy would keep the first step waiting for a second.
    from pfl_bench.results.frame import scan_runs
    from pfl_bench.results.imports import read_imported, with_imported
    from pfl_bench.results.leaderboard import leaderboard
    from pfl_bench.results.notes import left_out
    from pfl_bench.results.publish import stale, write_tables

    from .board import print_leaderboard

    absent = [run_id for run_id in missing(plan, ledger) if run_id not in outcome.failed]
    runs, problems = scan_runs(ledger.folder)
    figures, more = read_imported(ledger.folder)
    problems += more
    table = with_imported(leaderboard(runs), figures)
    try:  # before anything is printed: a terminal that fails must not cost the tables
        said, written = "Written: ", write_tables(ledger.folder, runs, table, ("csv", *stale(ledger.folder)), problems)
    except OSError as error:
        said, written = f"The tables could not be written to {ledger.folder}: {one_line(error)}", []
    print_leaderboard(console, table, {run.scenario.id for run in plan.runs})
    say_outcome(console, plan, outcome, ledger)
    say_missing(console, absent, ledger)
    for line in (*left_out(problems), said + ", ".join(str(path) for path in written)):
        say(console, line)
    return 1 if outcome.failed or absent or not written else 0
