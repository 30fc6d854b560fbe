"""Tuning a suite's methods: trials on some of its scenarios, choices, and the TOML that a suite takes them in."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pfl_bench import metrics
from pfl_bench.data.store import default_data_dir
from pfl_bench.errors import RequestError, shown
from pfl_bench.registry import METHODS, Plugin
from pfl_bench.results.files import write_text
from pfl_bench.results.ledger import Ledger
from pfl_bench.results.run_tables import read_trials
from pfl_bench.results.shared import PATIENCE
from pfl_bench.running.executors import Executor
from pfl_bench.running.executors.choice import choose_executor, executor_notes
from pfl_bench.running.runner import resolve_device
from pfl_bench.running.tuning.choice import Choice
from pfl_bench.running.tuning.grid import at_edge
from pfl_bench.running.tuning.table import TRIALS_FILE, known_trials
from pfl_bench.running.tuning.trials import Means, Trials, Tuned, plan_trials, tune, tuning_ledger
from pfl_bench.running.watching import Watch, unwatched
from pfl_bench.spec.fields import inline_table
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import check_hyperparameters
from pfl_bench.spec.scenario import without_edition

from .tune_request import Tunable, TuneRequest

CHOICES_FILE = "tuned.toml"


@dataclass(frozen=True)
class TuningPrepared:
    """Checked trials of a suite, where they are kept, who computes them, and what should be known before."""

    wanted: Tunable
    trials: Sequence[Trials]
    ledger: Ledger
    executor: Executor
    means: Means
    notes: Sequence[str] = ()
    known: pd.DataFrame | None = None


@dataclass(frozen=True)
class Tuning:
    """What came of it.

    ``choices``: a row per suite, scenario and method that has one: its hyper-parameters as a dictionary, ``validation``
    in percent, and ``edges``. ``trials``: a row per run. ``toml``: the choices as a suite takes them, which ``files``
    have too. ``edges``: a line per choice that lies at the edge of its grid. ``failed``: why, by run id; ``absent``:
    ids of runs that are gone. ``notes``: what must be told beside them, a line each.
    """

    choices: pd.DataFrame
    trials: pd.DataFrame
    toml: str
    edges: Sequence[str]
    failed: dict[str, str]
    absent: Sequence[str]
    files: Sequence[Path]
    notes: Sequence[str] = ()

    @property
    def complete(self) -> bool:
        """Whether every trial has its result."""
        return not (self.failed or self.absent)


def prepare_tuning(
    request: TuneRequest, suites: Sequence[Tunable], plugins: tuple[Plugin, ...]
) -> list[TuningPrepared]:
    """Plan the trials of every suite. RequestError before anything is written."""
    on_cluster = request.address is not None and request.device == "cuda"
    device = "cuda" if on_cluster else resolve_device(request.device)
    executor = choose_executor(request.executor, request.workers, request.address, device)
    options = Options(device=device, lockstep=request.lockstep)
    means = Means(options, request.data_dir or default_data_dir(), plugins)
    notes = [f"Note: {note}" for note in executor_notes(request.executor, request.address)]
    known = None if request.known is None else known_trials(request.known)
    return [
        TuningPrepared(
            wanted,
            _planned(wanted, request.trials),
            tuning_ledger(wanted.suite, request.out),
            executor,
            means,
            notes,
            known,
        )  # fmt: skip
        for wanted in suites
    ]


def _planned(wanted: Tunable, trials: int) -> list[Trials]:
    check_hyperparameters(wanted.suite)
    methods = METHODS.loaded(wanted.methods) if wanted.every_method else wanted.methods
    for method in methods:
        _check_grid(method, METHODS.get(method).search_space, "search_space")
        _check_grid(method, wanted.suite.search_space.get(method, {}), f"suite {wanted.suite.name}: search_space")
    return [
        planned
        for scenario in wanted.scenarios
        for planned in plan_trials(wanted.suite, scenario, methods, trials, wanted.seeds)
    ]


def _check_grid(method: str, grid: Any, where: str) -> None:
    """RequestError unless it is values by hyper-parameter that TOML can write; None, where it is the default, is left
    out there."""
    if not isinstance(grid, Mapping):
        raise RequestError(
            f"{where} of {method}: {shown(grid)} must be a table of lists, such as {{'lr': [0.01, 0.1]}}"
        )
    fields = METHODS.get(method).Config.model_fields
    for name, values in grid.items():
        if isinstance(values, str | Mapping | Set) or not isinstance(values, Iterable):
            raise RequestError(f"{where} of {method}: {name}={shown(values)} must be a list of values")
        if any(value is None for value in values) and name in fields and fields[name].default is not None:
            raise RequestError(
                f"{where} of {method}: {name}={shown(values)} must not have None, which is no default: TOML has none"
            )


def run_tuning(prepared: TuningPrepared, watch: Watch = unwatched) -> Tuning:
    """Run the trials that the ledger does not have, choose, and write the choices beside them."""
    wanted, ledger = prepared.wanted, prepared.ledger
    tuned = tune(prepared.trials, ledger, prepared.executor, watch, prepared.means, prepared.known)
    text = fragment(prepared, tuned)
    with ledger.lock(PATIENCE):
        place = write_text(ledger.folder / CHOICES_FILE, text)
    rows = [
        (*key, dict(choice.values), choice.validation_accuracy, ", ".join(at_edge(choice.values, tuned.grids[key])))
        for key, choice in tuned.choices.items()
    ]
    choices = pd.DataFrame(rows, columns=["scenario", "method", "hyperparameters", "validation", "edges"])
    choices.insert(0, "suite", wanted.suite.name)
    edges = [line for key, choice in tuned.choices.items() for line in _edges(*key, choice, tuned)]
    trials = read_trials(ledger.folder / TRIALS_FILE)
    trials.insert(0, "suite", wanted.suite.name)
    trials = trials[trials["scenario"].isin([scenario.id for scenario in wanted.scenarios])]
    files = [ledger.folder / TRIALS_FILE, place]
    return Tuning(
        choices, trials.reset_index(drop=True), text, edges, tuned.failed, tuned.absent, files, prepared.notes
    )


def joined(tunings: Sequence[Tuning], prepared: Sequence[TuningPrepared]) -> Tuning:
    """What came of several suites as one; in ``toml``, a line before each suite's choices says whose they are."""
    if len(tunings) == 1:
        return tunings[0]
    return Tuning(
        pd.concat([each.choices for each in tunings], ignore_index=True),
        pd.concat([each.trials for each in tunings], ignore_index=True),
        "\n".join(of_suite(own) + each.toml for own, each in zip(prepared, tunings, strict=True)),
        [line for each in tunings for line in each.edges],
        {run_id: why for each in tunings for run_id, why in each.failed.items()},
        [run_id for each in tunings for run_id in each.absent],
        [path for each in tunings for path in each.files],
        tunings[0].notes,
    )


def of_suite(prepared: TuningPrepared) -> str:
    """A line of TOML that says whose choices follow."""
    return f"# For the suite {prepared.wanted.suite.name}:\n"


def _edges(scenario: str, method: str, choice: Choice, tuned: Tuned) -> list[str]:
    grid = tuned.grids[scenario, method]
    return [
        f"At the edge of its grid on {scenario}: {method}, {name} = {choice.values[name]} of "
        f"{', '.join(map(str, sorted({choice.values[name], *grid[name]})))}"
        for name in at_edge(choice.values, grid)
    ]


def fragment(prepared: TuningPrepared, tuned: Tuned) -> str:
    """The choices as TOML, ready to be pasted into the suite: for all its scenarios, or for those that were tuned."""
    wanted = prepared.wanted
    seeds = ", ".join(map(str, wanted.seeds))
    everywhere = len(wanted.suite.scenarios) == 1
    lines = []
    for scenario in wanted.scenarios:
        head = "hyperparameters" if everywhere else f'hyperparameters_at."{without_edition(scenario.id)}"'
        lines += [f"[{head}]  # {scenario.id}, validation {metrics.named(scenario.primary).heading} at seeds {seeds}"]
        for method in dict.fromkeys(trials.method for trials in prepared.trials):
            lines.append(_line(method, tuned.choices.get((scenario.id, method)), tuned.grids[scenario.id, method]))
        lines.append("")
    return "\n".join(lines)


def _line(method: str, choice: Choice | None, grid: Any) -> str:
    if choice is None:
        return f"# {method}: no point of its grid was finished, with a score, at every seed"
    edges = at_edge(choice.values, grid)
    warning = f"; at the edge of its grid: {', '.join(edges)}" if edges else ""
    return f"{method} = {inline_table(choice.values)}  # {choice.validation_accuracy:.2f} % on validation{warning}"
