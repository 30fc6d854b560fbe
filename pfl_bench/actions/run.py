"""Running methods on scenarios: check, compute what is missing, write the tables."""

import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pfl_bench.data.store import default_data_dir
from pfl_bench.engine.events import Event
from pfl_bench.errors import one_line
from pfl_bench.registry import METHODS, Plugin
from pfl_bench.results.ledger import Ledger
from pfl_bench.results.shared import PATIENCE
from pfl_bench.running.executors import Executor
from pfl_bench.running.executors.choice import choose_executor, executor_notes
from pfl_bench.running.notes import notes_of
from pfl_bench.running.reuse import review
from pfl_bench.running.runner import Outcome, Plan, execute, make_plan, missing, resolve_device
from pfl_bench.running.tracking import Tracking
from pfl_bench.running.watching import Watch, unwatched
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec, check_choices, check_hyperparameters, make_config, plan_runs
from pfl_bench.spec.tuned import origin_of
from pfl_bench.text import first_few

from .request import RunRequest, Wanted, warnings_of

if TYPE_CHECKING:
    import pandas as pd

    from pfl_bench.results.notes import Problem


@dataclass(frozen=True)
class Prepared:
    """A checked request: what is to be computed, where it is kept, who computes it, and what should be known before."""

    request: RunRequest
    plan: Plan
    ledger: Ledger
    executor: Executor
    notes: Sequence[str]


@dataclass(frozen=True)
class Done:
    """What came of it. ``absent``: ids of runs that ended and are gone; ``unwritten``: why there are no tables."""

    plan: Plan
    ledger: Ledger
    outcome: Outcome
    absent: Sequence[str]
    runs: "pd.DataFrame"
    table: "pd.DataFrame"
    problems: "Sequence[Problem]"
    written: Sequence[Path] = field(default_factory=list)
    unwritten: str = ""

    @property
    def complete(self) -> bool:
        """Whether all that was asked for is there, or with another driver."""
        return not (self.outcome.failed or self.absent or self.unwritten)


def prepare(request: RunRequest, wanted: Wanted, plugins: tuple[Plugin, ...]) -> Prepared:
    """Check what needs torch to be checked, load data and cut partitions. RequestError before anything is written."""
    METHODS.discover()
    for name, reason in METHODS.broken.items():
        warnings.warn(f"method {name!r} is left out, it could not be loaded: {reason}", stacklevel=1)
    on_cluster = request.address is not None and request.device == "cuda"  # this machine may have none
    device = "cuda" if on_cluster else resolve_device(request.device)
    executor = choose_executor(request.executor, request.workers, request.address, device, request.in_process)
    plan = plan_request(request, wanted, plugins, device)
    taking_part = list(dict.fromkeys(run.method for run in plan.runs))
    told = [*executor_notes(request.executor, request.address), *notes_of(plan)]
    notes = [*warnings_of(request, wanted, taking_part), *(f"Note: {note}" for note in told)]
    return Prepared(request, plan, Ledger(request.out / plan.suite), executor, notes)


def plan_request(request: RunRequest, wanted: Wanted, plugins: tuple[Plugin, ...], device: str) -> Plan:
    """The runs that are asked for, with the data they need."""
    check_hyperparameters(wanted.suite)
    for method, values in wanted.overrides.items():
        make_config(method, values, "--set")
    for choices in wanted.choices:
        check_choices(choices)
    methods = METHODS.loaded(wanted.methods) if wanted.every_method else wanted.methods
    runs = plan_runs(methods, wanted.scenarios, wanted.seeds, wanted.suite, wanted.overrides, wanted.choices)
    given = (wanted.overrides, wanted.choices)
    origins = {run.id: origin_of(wanted.suite, run.method, run.scenario.id, *given) for run in runs}
    state: Literal["memory", "disk"] = "disk" if request.state == "disk" else "memory"
    options = Options(
        device=device, backend=request.backend, state=state, lockstep=request.lockstep, keep_models=request.keep_models
    )
    return make_plan(wanted.suite.name, runs, request.data_dir or default_data_dir(), options, plugins, origins=origins)


def compute(prepared: Prepared, watch: Watch = unwatched) -> Done:
    """Run what the ledger does not have, and write the tables.

    ``watch`` is told how the ledger stands to the runs, and then what happens to them. Stopped, with checkpoints
    written, if a signal asks for it (``engine.stop``).
    """
    plan, ledger, request = prepared.plan, prepared.ledger, prepared.request
    with closing(Tracking.open(request.trackers, ledger.folder)) as tracking:
        with ledger.lock(PATIENCE):  # a folder that cannot be written is refused before anything is computed
            standing = review(plan.runs, plan.bases, ledger, request.fresh)
        with watch(plan.runs, standing) as watcher:

            def listen(run: RunSpec, event: Event) -> None:
                watcher.listen(run, event)
                tracking.listen(run, event)

            outcome = execute(plan, ledger, prepared.executor, listen, standing, request.wait)
    return conclude(plan, outcome, ledger)


def _without_models(plan: Plan, ledger: Ledger) -> list[str]:
    """Finished runs whose models were to be kept, and were not when they were computed."""
    if not plan.options.keep_models:
        return []
    records = {run.id: ledger.record(run.id) for run in plan.runs}
    finished = [run_id for run_id, record in records.items() if record is not None and record.status == "finished"]
    return [run_id for run_id in finished if ledger.models(run_id) is None]


def absences(done: Done) -> list[str]:
    """Which runs the tables lack, and which have no models, a line for each reason."""
    lines = []
    if held := done.outcome.held:
        lines.append(f"Other drivers are still computing {first_few(held)}; the tables lack them.")
    if done.absent:
        lines.append(gone(done.absent, done.ledger))
    if without := _without_models(done.plan, done.ledger):
        kept = f"Without kept models, finished before: {first_few(without)}. "
        lines.append(kept + "--fresh (fresh=True) computes them with models.")
    return lines


def gone(absent: Sequence[str], ledger: Ledger) -> str:
    """Which runs ended and are not there any more."""
    said = f"Missing: {', '.join(absent)}: finished, but not in {ledger.folder} any more. "
    return said + "The same command computes what is missing."


def conclude(plan: Plan, outcome: Outcome, ledger: Ledger) -> Done:
    """Read what is there now and write the tables of it."""
    # Here, and not above: pandas and SciPy would keep the first step waiting for a second.
    from pfl_bench.results.frame import scan_runs
    from pfl_bench.results.imports import read_imported, with_imported
    from pfl_bench.results.leaderboard import leaderboard
    from pfl_bench.results.publish import stale, write_tables

    others = {*outcome.failed, *outcome.held}
    with ledger.lock(PATIENCE):  # whoever comes last has all runs in his tables
        absent = [run_id for run_id in missing(plan, ledger) if run_id not in others]
        runs, problems = scan_runs(ledger.folder)
        figures, more = read_imported(ledger.folder)
        problems += more
        table = with_imported(leaderboard(runs), figures)
        try:
            written = write_tables(ledger.folder, runs, table, ("csv", *stale(ledger.folder)), problems)
        except OSError as error:
            return Done(plan, ledger, outcome, absent, runs, table, problems, unwritten=one_line(error))
    return Done(plan, ledger, outcome, absent, runs, table, problems, written)
