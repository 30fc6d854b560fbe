"""A picture of a suite's learning curves: ``pfl-bench analyse curves results/quick``."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pfl_bench.results.entries import entries
from pfl_bench.results.frame import finished_runs
from pfl_bench.results.palette import Palette
from pfl_bench.results.primary import YLABEL, ylabel
from pfl_bench.results.run_tables import complete, read_history, without_curve

from .pictures import counted_seeds, load_pyplot, picture


def read_curves(folder: Path, runs: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy at the official moment: columns scenario, method, seed, visits, accuracy."""
    history = complete(read_history(folder, runs))
    return history.loc[history["split"] == "test", ["scenario", "method", "seed", "visits", "accuracy"]]


def lines(axes: Any, curves: pd.DataFrame, title: str, what: str = YLABEL) -> None:
    """Draw mean test accuracy over client visits per method, with a band from the lowest to the highest seed.

    ``axes``: Matplotlib's. ``what``: the label of the ordinate.
    """
    final = curves.groupby("method")["accuracy"].last().sort_values(ascending=False)
    palette = Palette(final.index)
    for method in final.index:
        by_visits = curves[curves["method"] == method].groupby("visits")["accuracy"]
        mean, low, high = by_visits.mean(), by_visits.min(), by_visits.max()
        line = palette.matplotlib_line(method)
        axes.plot(mean.index, mean, **line, label=method)
        axes.fill_between(mean.index, low, high, color=line["color"], alpha=0.12, linewidth=0)
    axes.set_title(title, fontsize="medium")
    axes.set(xlabel="client visits", ylabel=what)
    axes.grid(alpha=0.3)


def draw(curves: pd.DataFrame, title: str, target: Path, what: str = YLABEL) -> None:
    """``lines`` as a picture of its own, with a legend."""
    with picture(target, 9.5, 5) as (figure, axes):
        lines(axes, curves, title, what)
        figure.legend(loc="outside right upper", fontsize="small")


def panels(curves: pd.DataFrame, what: Mapping[str, str]) -> Any:
    """``lines`` of every scenario in one figure of pyplot's, each with its legend; the axes ``[scenarios]``.

    ``what``: by scenario, the label of the ordinate.
    """
    plt = load_pyplot()
    parts = {str(scenario): part for scenario, part in curves.groupby("scenario", sort=False)}
    _, axes = plt.subplots(len(parts), 1, figsize=(9.5, 4.5 * len(parts)), layout="constrained", squeeze=False)
    for own, (scenario, part) in zip(axes[:, 0], parts.items(), strict=True):
        lines(own, part, f"{scenario}, {counted_seeds(part)}", what[scenario])
        own.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return axes[:, 0]


def main(folder: Path) -> list[Path]:
    """Draw one picture per scenario into the suite's folder; where."""
    runs = finished_runs(folder)
    runs = runs.assign(method=entries(runs))
    curves, written = read_curves(folder, runs), []
    for line in without_curve(curves, runs):
        print(line, file=sys.stderr)
    for scenario, part in curves.groupby("scenario", sort=False):
        own = runs[runs["scenario"] == scenario]
        first = own.iloc[0]
        budget = f"{first['visits']} client visits x {first['local_steps_per_visit']} local steps"
        target = folder / f"curves-{scenario}.png"
        draw(part, f"{scenario}: {budget}, {counted_seeds(part)}", target, ylabel(own))
        written.append(target)
    return written
