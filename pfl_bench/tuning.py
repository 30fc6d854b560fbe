"""Choosing hyper-parameters for a suite: the same number of trials for every method, judged on validation only.

``python -m pfl_bench.tuning quick --trials 8`` runs the trials on the suite's first scenario at a seed that the
suite does not publish, records them under ``<out>/<suite>-tuning``, and prints the choices as TOML.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from scipy.stats import qmc

from .cli.progress import RunProgress
from .data_store import default_data_dir
from .errors import RequestError
from .events import Options
from .executors.ray import RayExecutor
from .leaderboard.frame import read_runs
from .ledger import Ledger
from .method import Method
from .registry import METHODS
from .runner import execute, make_plan
from .runspec import RunSpec, make_config
from .suite import load_suite, parse_names

TRIALS_FILE = "tuning.csv"


def draw_trials(cls: type[Method], trials: int) -> list[dict[str, Any]]:
    """Points of the method's search space in the order of a Halton sequence, so that a prefix covers it evenly.

    The first dimension runs through all its values when there are as many as trials (and a power of 2).
    """
    if not cls.search_space:
        return [{}] * trials
    points = qmc.Halton(d=len(cls.search_space), scramble=False).random(trials)
    return [
        {name: values[int(u * len(values))] for u, (name, values) in zip(point, cls.search_space.items(), strict=True)}
        for point in points
    ]


def tune(suite_name: str, methods: str, trials: int, seed: int, out: Path, budget_scale: float) -> dict[str, Any]:
    """Run the trials that the ledger does not have; return the best hyper-parameters per method.

    Best is the highest validation accuracy at the method's official moment; ties go to the earlier trial.
    """
    suite = load_suite(suite_name)
    scenario = suite.scenarios[0].scaled(budget_scale)
    proposals: list[tuple[RunSpec, dict[str, Any]]] = []
    for name in parse_names(methods, METHODS.names(), "method"):
        for values in draw_trials(METHODS.get(name), trials):
            proposals.append((RunSpec(name, make_config(name, values, "trial"), scenario, seed), values))
    distinct = list({run.id: run for run, _ in proposals}.values())
    name = f"{suite.name}-tuning"
    plan = make_plan(name, distinct, default_data_dir(), Options())
    ledger = Ledger(out / name)
    with ledger.lock(), RunProgress(Console(), distinct, ledger) as progress:
        execute(plan, ledger, RayExecutor(), progress.listen)
    frame = read_runs(ledger.folder)
    columns = ["run_id", "scenario", "method", "seed", "status", "validation_accuracy", "config"]
    frame[columns].to_csv(ledger.folder / TRIALS_FILE, index=False, lineterminator="\n")
    validation = frame.set_index("run_id")["validation_accuracy"].to_dict()
    best: dict[str, tuple[float, dict[str, Any]]] = {}
    for run, values in proposals:
        reached = validation.get(run.id)
        if reached is not None and reached == reached and reached > best.get(run.method, (-1.0, {}))[0]:
            best[run.method] = (float(reached), values)
    return {method: {**values, "validation_accuracy": round(reached, 2)} for method, (reached, values) in best.items()}


def main(
    suite: str,
    methods: str = "all",
    trials: Annotated[int, typer.Option(min=1)] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Not one of the suite's own.")] = 1000,
    out: Path = Path("results"),
    budget_scale: float = 1.0,
) -> None:
    """Tune every method of a suite with the same number of trials and print the choices as TOML."""
    try:
        chosen = tune(suite, methods, trials, seed, out, budget_scale)
    except RequestError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    for method, values in chosen.items():
        reached = values.pop("validation_accuracy")
        pairs = ", ".join(f"{name} = {value}" for name, value in values.items())
        print(f"{method} = {{ {pairs} }}  # {reached} % on validation")


if __name__ == "__main__":
    typer.run(main)
