"""The command ``run``."""

import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from pfl_bench.data.store import default_data_dir
from pfl_bench.engine.events import Event
from pfl_bench.errors import one_line
from pfl_bench.registry import METHODS, Plugin, load_plugin, read_plugin
from pfl_bench.results.frame import read_runs
from pfl_bench.results.leaderboard import leaderboard
from pfl_bench.results.ledger import Ledger, check_writable
from pfl_bench.results.publish import write_tables
from pfl_bench.running.executors.choice import choose_executor
from pfl_bench.running.reuse import Standing, review
from pfl_bench.running.runner import Outcome, Plan, execute, make_plan, resolve_device
from pfl_bench.running.tracking import Tracking
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec, parse_overrides, plan_runs
from pfl_bench.spec.scenario import at_edition
from pfl_bench.spec.suite import Suite, builtin_suites, load_suite, parse_names, parse_seeds, select_scenarios

from .progress import RunProgress
from .terminal import make_console, print_leaderboard

ADHOC = "adhoc"


@dataclass(frozen=True)
class RunRequest:
    """What the user typed."""

    methods: str | None
    suite: str | None
    scenarios: str | None
    seeds: str | None
    out: Path
    executor: str
    workers: int | None
    address: str | None
    device: str
    backend: str
    precision: str
    budget_scale: float
    data_dir: Path | None
    settings: tuple[str, ...]
    plugins: tuple[Path, ...]
    fresh: bool
    trackers: tuple[str, ...] = ()


def load_plugins(paths: Sequence[Path]) -> tuple[Plugin, ...]:
    """Read and run plug-in files."""
    plugins = tuple(read_plugin(path) for path in paths)
    for plugin in plugins:
        load_plugin(plugin)
    return plugins


def _suite(request: RunRequest) -> Suite:
    """The suite asked for; scenarios without a suite are looked up in all built-in ones and called adhoc."""
    if request.suite is not None:
        return load_suite(request.suite)
    if request.scenarios is None:
        return load_suite("quick")
    suites = builtin_suites().values()
    return Suite(ADHOC, "", tuple(scenario for suite in suites for scenario in suite.scenarios))


def _plan(request: RunRequest, plugins: tuple[Plugin, ...], device: str) -> Plan:
    suite = _suite(request)
    methods = parse_names(suite.methods if request.methods is None else request.methods, METHODS.names(), "method")
    seeds = parse_seeds(suite.seeds if request.seeds is None else request.seeds)
    for name in suite.methods_named():
        METHODS.get(name)
    overrides = parse_overrides(request.settings, methods)
    chosen = select_scenarios(suite.scenarios, request.scenarios)
    scenarios = at_edition(chosen, request.budget_scale, request.precision)
    runs = plan_runs(methods, scenarios, seeds, suite, overrides)
    options = Options(device=device, backend=request.backend)
    return make_plan(suite.name, runs, request.data_dir or default_data_dir(), options, plugins)


def run_request(request: RunRequest) -> int:
    """Check the request, run what is missing, print the table. Returns the exit status."""
    console = make_console()
    plugins = load_plugins(request.plugins)
    for name, reason in METHODS.broken.items():
        warnings.warn(f"method {name!r} is left out, it could not be loaded: {reason}", stacklevel=1)
    check_writable(request.out)
    on_cluster = request.address is not None and request.device == "cuda"  # this machine may have none
    device = "cuda" if on_cluster else resolve_device(request.device)
    executor = choose_executor(request.executor, request.workers, request.address, device)
    plan = _plan(request, plugins, device)
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
        runs = read_runs(ledger.folder)
        table = leaderboard(runs)
        print_leaderboard(console, table, {run.scenario.id for run in plan.runs})
        _report(console, plan, outcome)
        try:
            written = write_tables(ledger.folder, runs, table, ("csv",))
        except OSError as error:
            console.print(f"The tables could not be written to {ledger.folder}: {one_line(error)}", soft_wrap=True)
            return 1
    console.print("Written: " + ", ".join(str(path) for path in written), soft_wrap=True)
    return 1 if outcome.failed else 0


def _say_renewed(console: Console, standing: Standing) -> None:
    """Runs that are there but were computed on something else, by what that is."""
    reasons: dict[str, list[str]] = {}
    for run_id, reason in standing.renewed.items():
        reasons.setdefault(reason, []).append(run_id)
    for reason, ids in reasons.items():
        named = ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
        console.print(
            f"Computed anew, the old runs kept in aside/, because {reason} changed since: {named}",
            markup=False, soft_wrap=True,
        )  # fmt: skip


def _report(console: Console, plan: Plan, outcome: Outcome) -> None:
    if outcome.reused:
        console.print(f"{len(outcome.reused)} of {len(plan.runs)} runs were finished before (--fresh repeats them).")
    for run_id, reason in outcome.failed.items():
        console.print(f"Failed: {run_id}: {reason}", markup=False, soft_wrap=True)
