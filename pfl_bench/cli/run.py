"""The command ``run``."""

import warnings
from contextlib import closing
from typing import Literal

from rich.console import Console

from pfl_bench.data.store import default_data_dir
from pfl_bench.engine.events import Event
from pfl_bench.errors import one_line
from pfl_bench.registry import METHODS, Plugin
from pfl_bench.results.frame import scan_runs
from pfl_bench.results.leaderboard import leaderboard
from pfl_bench.results.ledger import Ledger
from pfl_bench.results.notes import left_out
from pfl_bench.results.publish import write_tables
from pfl_bench.running.executors.choice import choose_executor
from pfl_bench.running.notes import notes_of
from pfl_bench.running.reuse import Standing, review
from pfl_bench.running.runner import Outcome, Plan, execute, make_plan, resolve_device
from pfl_bench.running.tracking import Tracking
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec, make_config, plan_runs

from .board import print_leaderboard
from .progress import RunProgress
from .request import RunRequest, Wanted
from .terminal import make_console, say


def _plan(request: RunRequest, wanted: Wanted, plugins: tuple[Plugin, ...], device: str) -> Plan:
    for method, values in wanted.overrides.items():
        make_config(method, values, "--set")
    methods = METHODS.loaded(wanted.methods) if wanted.every_method else wanted.methods
    runs = plan_runs(methods, wanted.scenarios, wanted.seeds, wanted.suite, wanted.overrides)
    state: Literal["memory", "disk"] = "disk" if request.state == "disk" else "memory"
    options = Options(device=device, backend=request.backend, state=state)
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
        console.print(f"Note: {note}", markup=False, soft_wrap=True)
    ledger = Ledger(request.out / plan.suite)
    with closing(Tracking.open(request.trackers, ledger.folder)) as tracking, ledger.lock():
        try:
            standing = review(plan.runs, plan.bases, ledger, request.fresh)
            _say_renewed(console, standing)
            with RunProgress(console, plan.runs, set(standing.reused)) as progress:

                def listen(run: RunSpec, event: Event) -> None:
                    progress.listen(run, event)
                    tracking.listen(run, event)

                outcome = execute(plan, ledger, executor, listen, standing)
        except KeyboardInterrupt:
            finished = len(review(plan.runs, plan.bases, ledger).reused)
            console.print(
                f"\nInterrupted: {finished} of {len(plan.runs)} runs are finished and kept in {ledger.folder}. "
                "The same command goes on from there."
            )
            return 130
        runs, problems = scan_runs(ledger.folder)
        table = leaderboard(runs)
        try:  # before anything is printed: a terminal that fails must not cost the tables
            said = "Written: " + ", ".join(map(str, write_tables(ledger.folder, runs, table, ("csv",))))
        except OSError as error:
            said = f"The tables could not be written to {ledger.folder}: {one_line(error)}"
    print_leaderboard(console, table, {run.scenario.id for run in plan.runs})
    _report(console, plan, outcome, ledger)
    for line in (*left_out(problems), said):
        say(console, line)
    return 1 if outcome.failed or not said.startswith("Written") else 0


def _say_renewed(console: Console, standing: Standing) -> None:
    """Runs that are there but were computed on something else, by what that is."""
    reasons: dict[str, list[str]] = {}
    for run_id, reason in standing.renewed.items():
        reasons.setdefault(reason, []).append(run_id)
    for reason, ids in reasons.items():
        named = ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
        say(console, f"Computed anew, the old runs kept in aside/, because {reason} changed since: {named}")


def _report(console: Console, plan: Plan, outcome: Outcome, ledger: Ledger) -> None:
    if outcome.reused:
        console.print(f"{len(outcome.reused)} of {len(plan.runs)} runs were finished before (--fresh repeats them).")
    for run_id, reason in outcome.failed.items():
        say(console, f"Failed: {run_id}: {reason}")
        if (trace := ledger.error_file(run_id)) is not None:
            say(console, f"  its traceback: {trace}")
