"""Choosing hyper-parameters for a suite: the same number of trials for every method, judged on validation only."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from scipy.stats import qmc

from pfl_bench.data.store import default_data_dir
from pfl_bench.engine.events import Event
from pfl_bench.errors import RequestError
from pfl_bench.registry import METHODS
from pfl_bench.results.frame import read_runs
from pfl_bench.results.ledger import Ledger
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec, make_config
from pfl_bench.spec.scenario import Scenario
from pfl_bench.spec.suite import Suite, parse_seeds

from .executors import Executor
from .reuse import review
from .runner import execute, make_plan

TRIALS_FILE = "tuning.csv"

Grid = Mapping[str, Sequence[Any]]


class Watcher(Protocol):
    """What is told of the trials."""

    def listen(self, run: RunSpec, event: Event) -> None:
        """Something happened to a run."""


Watch = Callable[[Sequence[RunSpec], set[str]], AbstractContextManager[Watcher]]
"""Starts watching some runs, of which the ones with these ids are there already."""


@dataclass(frozen=True)
class Trial:
    """One point of a method's grid, and the run that judges it."""

    values: Mapping[str, Any]
    run: RunSpec


@dataclass(frozen=True)
class Choice:
    """The best trial of a method, and what it reached: percent on validation data at the method's moment."""

    values: Mapping[str, Any]
    validation_accuracy: float


def draw_points(grid: Grid, trials: int) -> list[dict[str, Any]]:
    """At most ``trials`` different points of a grid, in the order of a Halton sequence, so that a prefix covers it.

    The first dimension runs evenly through its values when ``trials`` is a multiple of their number (and that is a
    power of 2). A grid smaller than ``trials`` is tried in full, as far as the sequence reaches.
    """
    if not grid:
        return [{}]
    points = qmc.Halton(d=len(grid), scramble=False).random(trials)
    drawn = [
        {name: values[int(u * len(values))] for u, (name, values) in zip(point, grid.items(), strict=True)}
        for point in points
    ]
    return [point for i, point in enumerate(drawn) if point not in drawn[:i]]


def plan_trials(suite: Suite, scenario: Scenario, methods: Sequence[str], trials: int, seed: int) -> list[Trial]:
    """The trials of every method, on the suite's grid for it or else the method's own.

    What a grid does not vary is the suite's (its ``hyperparameters`` there), or else the method's default.
    """
    if seed in parse_seeds(suite.seeds):
        raise RequestError(f"--seed: {seed} is one of the suite's own ({suite.seeds}); tune on another")
    for name in suite.search_space:
        METHODS.get(name)

    def trial(method: str, values: Mapping[str, Any]) -> Trial:
        config = make_config(method, {**suite.hyperparameters_of(method, scenario.id), **values}, "search space")
        return Trial(values, RunSpec(method, config, scenario, seed))

    return [
        trial(method, values)
        for method in methods
        for values in draw_points(suite.search_space.get(method, METHODS.get(method).search_space), trials)
    ]


def choose(trials: Sequence[Trial], reached: Mapping[str, float]) -> dict[str, Choice]:
    """The best trial per method; ``reached``: percent per run id, NaN or absent where it failed. Ties: the earlier."""
    best: dict[str, Choice] = {}
    for trial in trials:
        accuracy = reached.get(trial.run.id, math.nan)
        so_far = best.get(trial.run.method)
        if not math.isnan(accuracy) and (so_far is None or accuracy > so_far.validation_accuracy):
            best[trial.run.method] = Choice(trial.values, accuracy)
    return best


def tune(
    suite: Suite, trials: Sequence[Trial], out: Path, executor: Executor, watch: Watch | None = None
) -> dict[str, Choice]:
    """Run the trials that the ledger does not have, write them to ``tuning.csv``, and choose.

    ``watch(runs, reused)`` is told what happens.
    """
    name = f"{suite.name}-tuning"
    runs = list({trial.run.id: trial.run for trial in trials}.values())
    plan = make_plan(name, runs, default_data_dir(), Options())
    ledger = Ledger(out / name)
    with ledger.lock():
        standing = review(plan.runs, plan.bases, ledger)
        with watch(runs, set(standing.reused)) if watch else nullcontext() as watcher:
            execute(plan, ledger, executor, watcher.listen if watcher else lambda run, event: None, standing)
    frame = read_runs(ledger.folder)
    columns = ["run_id", "scenario", "method", "seed", "status", "validation_accuracy", "config"]
    frame[columns].to_csv(ledger.folder / TRIALS_FILE, index=False, lineterminator="\n")
    reached = frame["validation_accuracy"].astype(float)
    return choose(trials, dict(zip(frame["run_id"], reached, strict=True)))
