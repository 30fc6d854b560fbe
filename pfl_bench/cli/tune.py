"""Tuning a suite's methods: ``python -m pfl_bench.cli.tune quick --trials 8``.

Runs the trials on one scenario at seeds that the suite does not publish, records them under ``<out>/<suite>-tuning``,
and prints the choices as TOML. The default is among a method's trials; a choice at an edge widens the grid.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pfl_bench.errors import RequestError, unknown
from pfl_bench.registry import METHODS
from pfl_bench.spec.options import EXECUTORS
from pfl_bench.spec.scenario import at_edition
from pfl_bench.spec.suite import load_suite, means_all, parse_names, parse_seeds, select_scenarios


def main(
    suite: str,
    methods: Annotated[str | None, typer.Option(help="Default: the suite's.")] = None,
    scenarios: Annotated[str | None, typer.Option(help="Must match one scenario. Default: the first.")] = None,
    trials: Annotated[int, typer.Option(min=1)] = 8,
    seeds: Annotated[str, typer.Option(help="As in `run`; none of the suite's own.")] = "1000-1002",
    out: Path = Path("results"),
    budget_scale: Annotated[float, typer.Option(help="As in `run`.")] = 1.0,
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    executor: Annotated[str, typer.Option(help="ray or serial.")] = "ray",
) -> None:
    """Tune every method of a suite with the same number of trials and print the choices as TOML."""
    try:
        loaded = load_suite(suite)
        asked = loaded.methods if methods is None else methods
        names = parse_names(asked, METHODS.known_names(), "method")
        matching = select_scenarios(loaded.scenarios, scenarios)
        if scenarios is not None and len(matching) > 1:
            found = ", ".join(scenario.id for scenario in matching)
            raise RequestError(f"--scenarios: {scenarios!r} matches {found}; tune on one")
        scenario = at_edition(matching[:1], budget_scale, precision)[0]
        if executor not in EXECUTORS:
            raise unknown("executor", executor, EXECUTORS)
        from pfl_bench.running.executors.choice import choose_executor  # loads torch
        from pfl_bench.running.tuning.trials import plan_trials, tune

        from .progress import RunProgress

        names = METHODS.loaded(names) if means_all(asked) else names
        planned = plan_trials(loaded, scenario, names, trials, parse_seeds(seeds))
        chosen = tune(loaded, planned, out, choose_executor(executor), partial(RunProgress, Console()))
    except RequestError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    for method, choice in chosen.items():
        pairs = ", ".join(f"{name} = {value}" for name, value in choice.values.items())
        print(f"{method} = {{ {pairs} }}  # {choice.validation_accuracy:.2f} % on validation")


if __name__ == "__main__":
    typer.run(main)
