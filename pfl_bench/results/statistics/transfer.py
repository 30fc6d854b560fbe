"""One setting per method for a scenario that nobody tuned on: what did best, by rank, on those that were.

A *trials frame* is a suite's ``tuning.csv``: a row per run with ``scenario``, ``method``, ``seed``, ``status``,
``validation_accuracy`` (percent; what ranks in the scenario) and ``config`` (JSON).
"""

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .common import one_edition_each


@dataclass(frozen=True)
class Transferred:
    """``values``: the hyper-parameters that the trials varied, at the chosen point. ``mean_rank``: among the ``points``
    that were tried in all ``scenarios``; 1 is best."""

    method: str
    values: dict[str, Any]
    mean_rank: float
    points: int
    scenarios: int


def transferred(trials: pd.DataFrame) -> list[Transferred]:
    """Per method the point with the best mean rank over the scenarios on which it was tuned.

    Points count that every scenario of the method has: those that were tried first are the same everywhere, what was
    widened at an edge is not; of a scenario's editions one counts (``common.one_edition_each``). A point's figure in a
    scenario is its mean over the tuning seeds, those that most of the method's points have there; one that failed or
    diverged at any is last there, and one that was not tried at all of them does not count. Of equal mean ranks the one
    with the better mean accuracy is chosen. A scenario in which no point of the method has a figure, because it does
    not suit it, does not count. A method without a common point has no row.
    """
    found = []
    for method, own in in_one_edition(trials).groupby("method", sort=True):
        own = _at_the_tuning_seeds(own)
        table = _scores(own).dropna(how="all", axis=0)
        tried = _tried(own).loc[table.index]
        common = tried.columns[tried.all(axis=0)]
        if not len(common) or table.empty:
            continue
        table = table[common]
        ranks = table.rank(axis=1, ascending=False, na_option="bottom").mean()
        means = table.fillna(0.0).mean()
        chosen = min(common, key=lambda config: (round(float(ranks[config]), 9), -float(means[config]), config))
        varied = _varied(list(tried.columns))
        config = json.loads(chosen)
        values = {name: config[name] for name in varied if name in config}
        found.append(Transferred(str(method), values, float(ranks[chosen]), len(common), len(table)))
    return found


def in_one_edition(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials on the edition of each scenario that counts."""
    editions, _ = one_edition_each(trials.assign(entry=trials["method"]))
    return trials[trials["scenario"].isin(editions.values())]


def _at_the_tuning_seeds(own: pd.DataFrame) -> pd.DataFrame:
    """A method's trials at the seeds that most of its points in a scenario have, of the points that have all these."""
    kept = []
    for _, there in own.groupby("scenario", sort=False):
        points = there.groupby("seed")["config"].nunique()
        seeds = points.index[2 * points > there["config"].nunique()]
        there = there[there["seed"].isin(seeds)]
        kept.append(there[there.groupby("config")["seed"].transform("nunique") == len(seeds)])
    return pd.concat(kept)


def _scores(own: pd.DataFrame) -> pd.DataFrame:
    """Mean on validation ``[scenarios, points]``; NaN for a point that failed at a seed, or was not tried."""
    done = own["validation_accuracy"].astype(float).where(own["status"] == "finished")
    by = [own["scenario"], own["config"]]
    means = done.groupby(by).mean().where(done.notna().groupby(by).all())
    return means.unstack()


def _tried(own: pd.DataFrame) -> pd.DataFrame:
    """Which points were tried where, bool ``[scenarios, points]``."""
    return pd.crosstab(own["scenario"], own["config"]) > 0


def _varied(configs: list[str]) -> list[str]:
    """The fields in which these configurations differ, or that some lack, in the order in which they come."""
    tables = [json.loads(config) for config in configs]
    names = dict.fromkeys(name for table in tables for name in table)
    return [name for name in names if len({json.dumps(table[name]) if name in table else "" for table in tables}) > 1]
