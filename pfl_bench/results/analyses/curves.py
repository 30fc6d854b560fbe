"""A picture of a suite's learning curves: ``python -m pfl_bench.results.analyses.curves results/quick``."""

import sys
from pathlib import Path

import pandas as pd

from pfl_bench.results.entries import entries
from pfl_bench.results.frame import finished_runs
from pfl_bench.results.palette import matplotlib_line
from pfl_bench.results.primary import YLABEL, ylabel
from pfl_bench.results.run_tables import complete, read_history, without_curve

from .pictures import counted_seeds, picture, program


def read_curves(folder: Path, runs: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy at the official moment: columns scenario, method, seed, visits, accuracy."""
    history = complete(read_history(folder, runs))
    return history.loc[history["split"] == "test", ["scenario", "method", "seed", "visits", "accuracy"]]


def draw(curves: pd.DataFrame, title: str, target: Path, what: str = YLABEL) -> None:
    """Draw mean test accuracy over client visits per method, with a band from the lowest to the highest seed.

    ``what``: the label of the ordinate.
    """
    final = curves.groupby("method")["accuracy"].last().sort_values(ascending=False)
    with picture(target, 9.5, 5) as (figure, axes):
        for position, method in enumerate(final.index):
            by_visits = curves[curves["method"] == method].groupby("visits")["accuracy"]
            mean, low, high = by_visits.mean(), by_visits.min(), by_visits.max()
            line = matplotlib_line(position)
            axes.plot(mean.index, mean, **line, label=method)
            axes.fill_between(mean.index, low, high, color=line["color"], alpha=0.12, linewidth=0)
        axes.set_title(title, fontsize="medium")
        axes.set(xlabel="client visits", ylabel=what)
        axes.grid(alpha=0.3)
        figure.legend(loc="outside right upper", fontsize="small")


def main(folder: Path) -> None:
    """Draw one picture per scenario into the suite's folder."""
    runs = finished_runs(folder)
    runs = runs.assign(method=entries(runs))
    curves = read_curves(folder, runs)
    for line in without_curve(curves, runs):
        print(line, file=sys.stderr)
    for scenario, part in curves.groupby("scenario", sort=False):
        own = runs[runs["scenario"] == scenario]
        first = own.iloc[0]
        budget = f"{first['visits']} client visits x {first['local_steps_per_visit']} local steps"
        target = folder / f"curves-{scenario}.png"
        draw(part, f"{scenario}: {budget}, {counted_seeds(part)}", target, ylabel(own))
        print(target)


if __name__ == "__main__":
    sys.exit(program("pfl_bench.results.analyses.curves", __doc__, main, sys.argv[1:]))
