"""Clients that took no part in training: how far behind they are, and whether that depends on how different they are.

A *novel frame* has a row per run, enrolled client and number of labelled samples: ``run_id``, ``samples``,
``test_accuracy`` (percent), and ``tv_distance`` to the nearest training client.
"""

import math
from dataclasses import dataclass

import pandas as pd
import scipy

FEWEST_CLIENTS = 3


@dataclass(frozen=True)
class Line:
    """Gap over distance: points per unit, points at distance 0, and the p-value of a slope of 0 (NaN below three)."""

    slope: float
    intercept: float
    p_value: float

    def at(self, distance: float) -> float:
        """The gap at a distance, points."""
        return self.intercept + self.slope * distance


def gaps(runs: pd.DataFrame, novel: pd.DataFrame) -> pd.DataFrame:
    """The novel frame with ``gap``: the training clients' pooled accuracy at the end of the budget
    (``last_accuracy`` of ``runs``) minus the novel client's, in points."""
    rows = novel.assign(training_accuracy=novel["run_id"].map(runs.set_index("run_id")["last_accuracy"]))
    return rows.assign(gap=rows["training_accuracy"] - rows["test_accuracy"], samples=rows["samples"].astype(str))


def gap_line(rows: pd.DataFrame) -> Line | None:
    """``gap`` over ``tv_distance`` by least squares, Student's t for the slope; None where all distances are one."""
    if rows["tv_distance"].nunique() < 2:
        return None
    fit = scipy.stats.linregress(rows["tv_distance"], rows["gap"])
    return Line(fit.slope, fit.intercept, fit.pvalue if len(rows) >= FEWEST_CLIENTS else math.nan)
