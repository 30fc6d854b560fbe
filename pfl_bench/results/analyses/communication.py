"""Accuracy against bytes moved: ``pfl-bench analyse communication results/paper-communication``."""

import sys
from pathlib import Path

import pandas as pd

from pfl_bench.results.entries import entries
from pfl_bench.results.frame import finished_runs
from pfl_bench.results.palette import Palette
from pfl_bench.results.primary import YLABEL, ylabel
from pfl_bench.results.run_tables import complete, read_history, without_curve

from .pictures import budget_title, picture, write_frame


def accuracy_over_bytes(folder: Path) -> pd.DataFrame:
    """Test accuracy at the official moment over bytes moved (down plus up): a row per run and evaluation.

    ``entry`` names the method and, where it takes part several times, what sets this entry apart.
    """
    runs = finished_runs(folder)
    history = complete(read_history(folder, runs.assign(entry=entries(runs))))
    rows = history[history["split"] == "test"]
    kept = rows[["run_id", "scenario", "method", "seed", "visits", "accuracy", "entry"]]
    return kept.assign(bytes=rows["bytes_down"] + rows["bytes_up"])


def totals(rows: pd.DataFrame) -> pd.DataFrame:
    """Per scenario and entry: bytes at the end of the budget and the mean accuracy there. One row per entry."""
    last = rows.sort_values("visits").groupby(["scenario", "entry", "seed"], sort=False).last().reset_index()
    grouped = last.groupby(["scenario", "entry"], sort=False)
    return grouped.agg(bytes=("bytes", "mean"), accuracy=("accuracy", "mean"), seeds=("seed", "nunique")).reset_index()


def draw(rows: pd.DataFrame, title: str, target: Path, what: str = YLABEL) -> None:
    """One line per entry, mean over seeds. ``what``: the label of the ordinate."""
    with picture(target, 9, 5) as (figure, axes):
        palette = Palette(rows["entry"])
        for entry, part in rows.groupby("entry", sort=False):
            line = palette.matplotlib_line(str(entry))
            mean = part.groupby("visits")[["bytes", "accuracy"]].mean()
            if mean["bytes"].max() == 0:
                axes.axhline(mean["accuracy"].iloc[-1], **line, label=f"{entry} (moves nothing)")
            else:
                axes.plot(mean["bytes"] / 1e6, mean["accuracy"], **line, label=entry)
        axes.set(xlabel="MB moved, down and up", ylabel=what, title=title)
        axes.set_xscale("log")
        axes.grid(alpha=0.3)
        figure.legend(loc="outside right upper", fontsize="small")


def main(folder: Path) -> list[Path]:
    """Write ``communication-<scenario>.csv`` (totals) and the picture into the suite's folder; where."""
    rows, runs = accuracy_over_bytes(folder), finished_runs(folder)
    for line in without_curve(rows, runs):
        print(line, file=sys.stderr)
    written = []
    for scenario, part in rows.groupby("scenario"):
        own, drawn = runs[runs["scenario"] == scenario], folder / f"communication-{scenario}.png"
        written.append(write_frame(folder / f"communication-{scenario}.csv", totals(part)))
        draw(part, budget_title(own.assign(method=entries(own))), drawn, ylabel(own))
        written.append(drawn)
    return written
