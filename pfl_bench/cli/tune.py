"""Tuning a suite's methods: ``python -m pfl_bench.cli.tune quick --trials 8``.

Runs the trials on one scenario at seeds that the suite does not publish, records them under ``<out>/<suite>-tuning``,
and prints the choices as TOML. The default is among a method's trials; a choice at an edge widens the grid.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pfl_bench.errors import RequestError, shown, unknown
from pfl_bench.registry import METHODS
from pfl_bench.results.ledger import check_writable
from pfl_bench.spec.options import EXECUTORS
from pfl_bench.spec.scenario import at_edition
from pfl_bench.spec.suite import load_suite, means_all, parse_names, parse_seeds, select_scenarios

from .app import Command, Lockstep, run_program
from .numbers import number, whole
from .option_types import Out
from .signals import run_to_the_end

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(cls=Command)
def tune_suite(
    suite: Annotated[str, typer.Argument(help="A suite by name, or a .toml file.")],
    methods: Annotated[str | None, typer.Option(help="Default: the suite's.")] = None,
    scenarios: Annotated[str | None, typer.Option(help="Must match one scenario. Default: the first.")] = None,
    trials: Annotated[int, typer.Option(parser=whole(1, 10_000), metavar="N")] = 8,
    seeds: Annotated[str, typer.Option(help="As in `run`; none of the suite's own.")] = "1000-1002",
    out: Out = Path("results"),
    budget_scale: Annotated[float, typer.Option(parser=number, metavar="NUMBER", help="As in `run`.")] = 1.0,
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    executor: Annotated[str, typer.Option(help="ray or serial.")] = "ray",
    lockstep: Lockstep = None,
) -> int:
    """Tune every method of a suite with the same number of trials and print the choices as TOML."""
    loaded = load_suite(suite)
    asked, where = (loaded.methods, "methods") if methods is None else (methods, "--methods")
    names = parse_names(asked, METHODS.known_names(), "method", where)
    tried_at = parse_seeds(seeds, "--seeds")
    matching = select_scenarios(loaded.scenarios, scenarios, "--scenarios")
    if scenarios is not None and len(matching) > 1:
        found = ", ".join(scenario.id for scenario in matching)
        raise RequestError(f"--scenarios: {shown(scenarios)} matches {found}; tune on one")
    scenario = at_edition(matching[:1], budget_scale, precision, "--budget-scale")[0]
    if executor not in EXECUTORS:
        raise unknown("executor", executor, EXECUTORS)
    check_writable(out)
    from .trials import run_trials  # loads torch

    names = METHODS.loaded(names) if means_all(asked) else names
    return run_trials(loaded, scenario, names, trials, tried_at, out, executor, lockstep)


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit status."""
    return run_program(app, arguments, "python -m pfl_bench.cli.tune")


if __name__ == "__main__":
    run_to_the_end(lambda: main(sys.argv[1:]))
