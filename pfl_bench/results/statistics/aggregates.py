"""One figure per entry over all scenarios (Agarwal et al. 2021, NeurIPS, arXiv:2108.13264)."""

import math
from collections.abc import Collection

import numpy as np
import pandas as pd
import scipy

from .common import common


def interquartile_mean(values: np.ndarray) -> float:
    """Mean of the middle half: neither one lucky nor one unlucky run decides. NaN for no values."""
    return float(scipy.stats.trim_mean(values, 0.25)) if len(values) else float("nan")


def probability_of_improvement(runs: pd.DataFrame, entry: str, reference: str) -> float:
    """P(entry > reference) for one random run of each in the same scenario, mean over scenarios; ties count half.

    This is the Mann-Whitney U statistic divided by the number of pairs. NaN if they have no scenario in common.
    """
    mine, theirs = _by_scenario(runs, entry), _by_scenario(runs, reference)
    pairs = [(own, theirs[scenario]) for scenario, own in mine.items() if scenario in theirs]
    shares = [scipy.stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)) for x, y in pairs]
    return float(np.mean(shares)) if shares else float("nan")


def _by_scenario(runs: pd.DataFrame, entry: str) -> dict[str, np.ndarray]:
    done = runs[(runs["entry"] == entry) & runs["accuracy"].notna()]
    return {str(scenario): own.to_numpy(float) for scenario, own in done.groupby("scenario", sort=True)["accuracy"]}


def aggregate(runs: pd.DataFrame, reference: str, averaged: Collection[str] | None = None) -> pd.DataFrame:
    """Per entry: runs, scenarios, interquartile mean of accuracy, probability to beat a reference.

    ``averaged``: the scenarios whose figures may be averaged, being of one metric; by default all.

    All figures of a column speak of the same scenarios and seeds (``common.common``); what else there is has no row.
    Every scenario weighs alike, however many seeds it has.
    """
    shared = common(runs).runs
    rows = [
        {
            "entry": entry,
            "runs": len(part),
            "scenarios": part["scenario"].nunique(),
            "interquartile_mean": interquartile_mean(_equal_weights(part, averaged)),
            "probability_of_improvement": probability_of_improvement(shared, str(entry), reference),
        }
        for entry, part in shared.groupby("entry", sort=True)
    ]
    columns = ["entry", "runs", "scenarios", "interquartile_mean", "probability_of_improvement"]
    return pd.DataFrame(rows, columns=columns)


def _equal_weights(part: pd.DataFrame, averaged: Collection[str] | None) -> np.ndarray:
    """Accuracies, each repeated so often that every scenario has as many as the others."""
    part = part if averaged is None else part[part["scenario"].isin(averaged)]
    each = [own.to_numpy(dtype=float) for _, own in part.groupby("scenario", sort=True)["accuracy"]]
    most = math.lcm(*map(len, each))
    return np.concatenate([np.repeat(values, most // len(values)) for values in each])
