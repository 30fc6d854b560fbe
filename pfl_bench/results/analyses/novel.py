"""Clients never seen in training: ``pfl-bench analyse novel results/paper-novel-clients``.

After section 5.3 of the pFedHN paper: how much worse is a novel client served than the training clients, as it is
less like the nearest of them?
"""

from pathlib import Path

import numpy as np
import pandas as pd

from pfl_bench.errors import RequestError
from pfl_bench.results.entries import entries
from pfl_bench.results.frame import finished_runs
from pfl_bench.results.palette import Palette
from pfl_bench.results.run_tables import complete, read_table
from pfl_bench.results.statistics.gaps import gap_line, gaps

from .pictures import budget_title, picture, write_frame

FIGURES = ("client", "test_samples", "test_correct", "test_accuracy", "tv_distance")


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Per scenario, method and number of samples: pooled accuracy, gap, and its slope over the distance, with the
    two-sided p-value of Student's t for a slope of 0, a novel client of a run being one observation."""

    def one(part: pd.DataFrame) -> pd.Series:
        pooled = _pooled(part)
        line = gap_line(part)
        return pd.Series(
            {
                "novel_accuracy": pooled,
                "training_accuracy": part["training_accuracy"].mean(),
                "gap": part["training_accuracy"].mean() - pooled,
                "slope_per_unit_tv": line.slope if line else np.nan,
                "slope_p_value": line.p_value if line else np.nan,
                "clients": len(part),
                "runs": part["run_id"].nunique(),
            }
        )

    keys = ["scenario", "method", "samples"]
    return pd.DataFrame(
        [{**dict(zip(keys, key, strict=True)), **one(part)} for key, part in rows.groupby(keys, sort=False)]
    )


def draw(rows: pd.DataFrame, title: str, target: Path) -> None:
    """Gap against distance with all labelled samples (left), accuracy against labelled samples (right)."""
    ticks = sorted(rows["samples"].unique(), key=lambda s: float("inf") if s == "all" else float(s))
    with picture(target, 12, 5, columns=2) as (figure, (left, right)):
        palette = Palette(rows["method"])
        for method, part in rows.groupby("method"):
            look = palette.matplotlib_line(str(method))
            full = part[part["samples"] == ticks[-1]].sort_values("tv_distance")
            left.plot(full["tv_distance"], full["gap"], "o", color=look["color"], alpha=0.5, markersize=4)
            if line := gap_line(full):
                ends = full["tv_distance"].iloc[[0, -1]]
                left.plot(ends, [line.at(end) for end in ends], **look, label=method)
            pooled = [_pooled(part[part["samples"] == s]) for s in ticks]
            right.plot(range(len(ticks)), pooled, **look, marker="o", label=method)
        left.axhline(0, color="grey", linewidth=0.8)
        left.set(xlabel="total variation distance to the nearest training client", ylabel="accuracy gap (points)")
        right.set(xlabel="labelled samples per novel client", ylabel="pooled test accuracy of novel clients (%)")
        right.set_xticks(range(len(ticks)), ticks)
        figure.legend(*right.get_legend_handles_labels(), loc="outside right upper", fontsize="small")
        figure.suptitle(title)


def _pooled(rows: pd.DataFrame) -> float:
    """Accuracy over all samples of all rows, percent."""
    return float(100 * rows["test_correct"].sum() / rows["test_samples"].sum())


def main(folder: Path) -> list[Path]:
    """Write ``novel-<scenario>.csv``, its summary, and the picture into the suite's folder; where."""
    runs = finished_runs(folder)
    runs = runs.assign(method=entries(runs))
    novel = complete(read_table(folder, runs, "novel", FIGURES, ("samples",), every=True))
    if novel.empty:
        raise RequestError(f"no run in {folder} has enrolled a client")
    budgets = runs.set_index("run_id")[["budget_scale", "visits"]].rename(columns={"visits": "budget_visits"})
    rows, written = gaps(runs, novel.join(budgets, on="run_id")), []
    for scenario, part in rows.groupby("scenario"):
        drawn = folder / f"novel-{scenario}.png"
        written.append(write_frame(folder / f"novel-{scenario}.csv", part))
        written.append(write_frame(folder / f"novel-summary-{scenario}.csv", summary(part)))
        draw(part, budget_title(runs[runs["scenario"] == scenario]), drawn)
        written.append(drawn)
    return written
