"""Clients never seen in training: ``python -m pfl_bench.results.analyses.novel results/paper-novel-clients``.

After section 5.3 of the pFedHN paper: how much worse is a novel client served than the training clients, as it is
less like the nearest of them?
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from .curves import COLOURS, STYLES
from .tables import budget_title, finished, joined


def gaps(runs: pd.DataFrame, novel: pd.DataFrame) -> pd.DataFrame:
    """A row per run, novel client and number of labelled samples, with ``gap``: the training clients' pooled
    accuracy at the end of the budget (``last_accuracy`` of ``runs``) minus the novel client's, in points."""
    rows = novel.assign(training_accuracy=novel["run_id"].map(runs.set_index("run_id")["last_accuracy"]))
    return rows.assign(gap=rows["training_accuracy"] - rows["test_accuracy"], samples=rows["samples"].astype(str))


def _line(part: pd.DataFrame) -> Any:
    """Gap over distance by least squares: slope, intercept and p-value; None where all distances are one."""
    return stats.linregress(part["tv_distance"], part["gap"]) if part["tv_distance"].nunique() > 1 else None


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Per scenario, method and number of samples: pooled accuracy, gap, and its slope over the distance, with the
    two-sided p-value of Student's t for a slope of 0, a novel client of a run being one observation."""

    def one(part: pd.DataFrame) -> pd.Series:
        pooled = 100 * part["test_correct"].sum() / part["test_samples"].sum()
        line = _line(part)
        return pd.Series(
            {
                "novel_accuracy": pooled,
                "training_accuracy": part["training_accuracy"].mean(),
                "gap": part["training_accuracy"].mean() - pooled,
                "slope_per_unit_tv": line.slope if line else np.nan,
                "slope_p_value": line.pvalue if line and len(part) > 2 else np.nan,
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
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    ticks = sorted(rows["samples"].unique(), key=lambda s: float("inf") if s == "all" else float(s))
    for position, (method, part) in enumerate(rows.groupby("method")):
        colour, style = COLOURS[position % len(COLOURS)], STYLES[position // len(COLOURS) % len(STYLES)]
        full = part[part["samples"] == ticks[-1]].sort_values("tv_distance")
        left.plot(full["tv_distance"], full["gap"], "o", color=colour, alpha=0.5, markersize=4)
        if line := _line(full):
            ends = full["tv_distance"].iloc[[0, -1]]
            left.plot(ends, line.intercept + line.slope * ends, style, color=colour, label=method)
        pooled = [part[part["samples"] == s].pipe(lambda p: 100 * p.test_correct.sum() / p.test_samples.sum())
                  for s in ticks]  # fmt: skip
        right.plot(range(len(ticks)), pooled, style, marker="o", color=colour, label=method)
    left.axhline(0, color="grey", linewidth=0.8)
    left.set(xlabel="total variation distance to the nearest training client", ylabel="accuracy gap (points)")
    right.set(xlabel="labelled samples per novel client", ylabel="pooled test accuracy of novel clients (%)")
    right.set_xticks(range(len(ticks)), ticks)
    figure.legend(*right.get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    figure.suptitle(title)
    figure.savefig(target, dpi=120)
    plt.close(figure)


def main(folder: Path) -> None:
    """Write ``novel-<scenario>.csv``, its summary, and the picture into the suite's folder."""
    runs = finished(folder)
    novel = joined(folder, runs, "novel")
    if novel.empty:
        raise ValueError(f"no run in {folder} has enrolled a client")
    rows = gaps(runs, novel)
    for scenario, part in rows.groupby("scenario"):
        part.to_csv(folder / f"novel-{scenario}.csv", index=False, float_format="%.6g")
        summary(part).to_csv(folder / f"novel-summary-{scenario}.csv", index=False, float_format="%.6g")
        draw(part, budget_title(runs[runs["scenario"] == scenario]), folder / f"novel-{scenario}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
