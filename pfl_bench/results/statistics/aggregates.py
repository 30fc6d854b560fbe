"""One figure per entry over all scenarios (Agarwal et al. 2021, NeurIPS, arXiv:2108.13264)."""

import numpy as np
import pandas as pd
from scipy import stats

from .ranks import complete, scenario_means


def interquartile_mean(values: np.ndarray) -> float:
    """Mean of the middle half: neither one lucky nor one unlucky run decides. NaN for no values."""
    return float(stats.trim_mean(values, 0.25)) if len(values) else float("nan")


def probability_of_improvement(runs: pd.DataFrame, entry: str, reference: str) -> float:
    """P(entry > reference) for one random run of each in the same scenario, mean over scenarios; ties count half.

    This is the Mann-Whitney U statistic divided by the number of pairs. NaN if they have no scenario in common.
    """
    done = runs[runs["accuracy"].notna()]
    shares = []
    for _, part in done.groupby("scenario", sort=True):
        x, y = (part.loc[part["entry"] == e, "accuracy"].to_numpy(dtype=float) for e in (entry, reference))
        if len(x) and len(y):
            shares.append(stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)))
    return float(np.mean(shares)) if shares else float("nan")


def aggregate(runs: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Per entry: runs, scenarios, interquartile mean of accuracy, probability to beat a reference.

    The interquartile mean is over the scenarios and entries that are ranked (``ranks.complete``), so that all figures
    of the column speak of the same scenarios; NaN for the other entries.
    """
    done = runs[runs["accuracy"].notna()]
    ranked = complete(scenario_means(done))
    rows = [
        {
            "entry": entry,
            "runs": len(part),
            "scenarios": part["scenario"].nunique(),
            "interquartile_mean": interquartile_mean(
                part.loc[part["scenario"].isin(ranked.index) & (entry in ranked.columns), "accuracy"].to_numpy(float)
            ),
            "probability_of_improvement": probability_of_improvement(done, str(entry), reference),
        }
        for entry, part in done.groupby("entry", sort=True)
    ]
    columns = ["entry", "runs", "scenarios", "interquartile_mean", "probability_of_improvement"]
    return pd.DataFrame(rows, columns=columns)
