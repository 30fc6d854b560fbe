"""Choosing hyper-parameters for a suite: the same number of trials for every method, judged on validation only.

``python -m pfl_bench.running.tuning quick --trials 8`` runs the trials on one scenario at a seed that the suite does
not publish, records them under ``<out>/<suite>-tuning``, and prints the choices as TOML.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from scipy.stats import qmc

from pfl_bench.cli.progress import RunProgress
from pfl_bench.data.store import default_data_dir
from pfl_bench.errors import RequestError
from pfl_bench.registry import METHODS
from pfl_bench.results.frame import read_runs
from pfl_bench.results.ledger import Ledger
from pfl_bench.running.executors.choice import choose_executor
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec, make_config
from pfl_bench.spec.scenario import Scenario, at_edition
from pfl_bench.spec.suite import Suite, load_suite, parse_names, parse_seeds, select_scenarios

from .executors import Executor
from .reuse import review
from .runner import execute, make_plan

TRIALS_FILE = "tuning.csv"

Grid = Mapping[str, Sequence[Any]]


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


def tune(suite: Suite, trials: Sequence[Trial], out: Path, executor: Executor) -> dict[str, Choice]:
    """Run the trials that the ledger does not have, write them to ``tuning.csv``, and choose."""
    name = f"{suite.name}-tuning"
    runs = list({trial.run.id: trial.run for trial in trials}.values())
    plan = make_plan(name, runs, default_data_dir(), Options())
    ledger = Ledger(out / name)
    with ledger.lock():
        standing = review(plan.runs, plan.bases, ledger)
        with RunProgress(Console(), runs, set(standing.reused)) as progress:
            execute(plan, ledger, executor, progress.listen, standing)
    frame = read_runs(ledger.folder)
    columns = ["run_id", "scenario", "method", "seed", "status", "validation_accuracy", "config"]
    frame[columns].to_csv(ledger.folder / TRIALS_FILE, index=False, lineterminator="\n")
    reached = frame["validation_accuracy"].astype(float)
    return choose(trials, dict(zip(frame["run_id"], reached, strict=True)))


def main(
    suite: str,
    methods: Annotated[str | None, typer.Option(help="Default: the suite's.")] = None,
    scenarios: Annotated[str | None, typer.Option(help="Must match one scenario. Default: the first.")] = None,
    trials: Annotated[int, typer.Option(min=1)] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Not one of the suite's own.")] = 1000,
    out: Path = Path("results"),
    budget_scale: Annotated[float, typer.Option(help="As in `run`.")] = 1.0,
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    executor: Annotated[str, typer.Option(help="ray or serial.")] = "ray",
) -> None:
    """Tune every method of a suite with the same number of trials and print the choices as TOML."""
    try:
        loaded = load_suite(suite)
        names = parse_names(loaded.methods if methods is None else methods, METHODS.names(), "method")
        matching = select_scenarios(loaded.scenarios, scenarios)
        if scenarios is not None and len(matching) > 1:
            found = ", ".join(scenario.id for scenario in matching)
            raise RequestError(f"--scenarios: {scenarios!r} matches {found}; tune on one")
        scenario = at_edition(matching[:1], budget_scale, precision)[0]
        planned = plan_trials(loaded, scenario, names, trials, seed)
        chosen = tune(loaded, planned, out, choose_executor(executor))
    except RequestError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    for method, choice in chosen.items():
        pairs = ", ".join(f"{name} = {value}" for name, value in choice.values.items())
        print(f"{method} = {{ {pairs} }}  # {choice.validation_accuracy:.2f} % on validation")


if __name__ == "__main__":
    typer.run(main)
