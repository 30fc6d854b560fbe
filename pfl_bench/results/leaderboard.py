"""The leaderboard: runs aggregated over seeds, one row per scenario, method and configuration."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pfl_bench.metrics import PRIMARY
from pfl_bench.results.statistics.best import LEVEL, Standing, confidence_set
from pfl_bench.results.statistics.clients import sampling_errors
from pfl_bench.results.statistics.paired import accuracy_table, best_entry, student_interval

from .columns import BUDGET, keys_of, over_seeds
from .entries import entries, one_name_each, variants
from .mixtures import MIXED, mixture
from .order import by_scenario
from .primary import by_primary, primaries
from .record import TROUBLES
from .references import COLUMNS as REFERENCE_COLUMNS
from .references import attach

KEYS = ["scenario", "scenario_hash", "method", "config_hash", "code"]
"""What the runs of a row have in common."""

VERSUS_BEST = ["difference_to_best", "p_versus_best", "versus_best", "versus_note"]


def table_columns() -> list[str]:
    """The columns of a leaderboard, in their order: the entry, its accuracy, its budget, means over seeds, its runs."""
    entry = ["scenario", "rank", "method", "variant", "seeds"]
    accuracy = ["accuracy_mean", "accuracy_std", "ci_low", "ci_high", *VERSUS_BEST]
    last = ["reason", "config_hash", "runs", MIXED]
    budget = ["moment", *keys_of(BUDGET)]
    return [*entry, *accuracy, *budget, *keys_of(over_seeds("mean")), *TROUBLES, *last]


def confidence_interval(values: np.ndarray, confidence: float = LEVEL) -> tuple[float, float]:
    """Student's t interval of a mean percentage, cut off at 0 and 100. NaN with fewer than two values, and where all
    that it would say is that percentages lie between 0 and 100."""
    low, high = student_interval(values, confidence)
    told = low > 0 or high < 100
    return (max(0.0, low), min(100.0, high)) if told else (np.nan, np.nan)


def leaderboard(runs: pd.DataFrame) -> pd.DataFrame:
    """Aggregate a results frame (``frame.read_runs``). Ranks are per scenario, on the mean accuracy (or what the
    scenario has as its primary metric) to 0.01 points; ties share a rank. Runs that did not finish are counted beside,
    never averaged in.

    ``versus_best``: ``best`` for the highest mean (of those that the set below holds, which with unequal seeds need not
    have the first rank); ``worse`` for what the 95 % confidence set of the scenario's best
    excludes (``statistics.best``; ``p_versus_best`` is the level at which it does), ``not significantly different``
    for what it holds, ``untested`` for what it could not have excluded: ``versus_note`` says why.
    """
    if runs.empty:
        return pd.DataFrame(columns=[*table_columns(), *REFERENCE_COLUMNS])
    runs = by_primary(runs).assign(variant=variants(runs)).reset_index(drop=True)
    averaged = keys_of(over_seeds("mean"))
    runs = runs.assign(**{name: pd.to_numeric(runs[name], errors="coerce") for name in averaged})
    figures = runs[averaged].where(runs["status"] == "finished").to_numpy(dtype=float)
    rows = [
        _aggregate(group) | _means(averaged, figures[group.index.to_numpy()])
        for _, group in runs.groupby(KEYS, sort=False)
    ]
    table = pd.DataFrame(rows).join(versus_best(runs), on=KEYS)
    rounded = table["accuracy_mean"].astype(float).round(2)
    ranks = rounded.groupby([table["scenario"], table["scenario_hash"]]).rank(method="min", ascending=False)
    table["rank"] = ranks.astype("Int64")
    return attach(by_scenario(table, "scenario_hash", "rank", "method")[table_columns()])


def named(table: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The leaderboard of a results frame with ``entry`` (the frame's, else ``entries.one_name_each``) and
    ``scenario_hash`` of its rows, and ``group``, by which a run finds its row (``groups``)."""
    if table.empty:
        return pd.DataFrame(columns=[*table.columns, "entry", "group", "scenario_hash"])
    own = runs["entry"] if "entry" in runs else one_name_each(runs)
    names = runs.assign(entry=own, group=groups(runs)).set_index("run_id")[["entry", "group", "scenario_hash"]]
    first = table.assign(run_id=table["runs"].str.split(" ").str[0])
    return first.join(names, on="run_id").drop(columns="run_id")


def groups(runs: pd.DataFrame) -> list[str]:
    """Per run, the leaderboard row that it belongs to."""
    return ["|".join(map(str, own)) for own in runs[KEYS].itertuples(index=False)]


def with_test_error(table: pd.DataFrame, clients: pd.DataFrame) -> pd.DataFrame:
    """A leaderboard with ``test_error``: the standard error, in points, that the test samples of a run leave to its
    accuracy, mean over the runs of a row; NaN where something else ranks.

    ``clients``: as ``run_tables.read_clients`` reads them.
    """
    errors = sampling_errors(clients)
    own = [
        errors[errors.index.isin(runs.split(" "))].mean() if primary == PRIMARY else np.nan
        for runs, primary in zip(table["runs"], primaries(table), strict=True)
    ]
    return table.assign(test_error=pd.Series(own, index=table.index, dtype=float))


def versus_best(runs: pd.DataFrame) -> pd.DataFrame:
    """The columns ``VERSUS_BEST`` by ``KEYS``."""
    rows = {}
    done = runs[runs["status"] == "finished"].copy()
    done["entry"] = entries(done)
    for (scenario, _), part in done.groupby(["scenario", "scenario_hash"], sort=False):
        undefined = set(part.loc[part["accuracy"].isna(), "entry"])  # at a seed: such a mean ranks nowhere
        table = accuracy_table(part[~part["entry"].isin(undefined)], str(scenario))
        standings = confidence_set(table)
        best = best_entry(table, [entry for entry, standing in standings.items() if standing.excluded])
        for key, own in part.groupby(KEYS, sort=False):
            entry = own["entry"].iloc[0]
            rows[key] = _standing(table, entry, best, standings, entry in undefined)
    index = pd.MultiIndex.from_frame(pd.DataFrame(list(rows), columns=KEYS))
    return pd.DataFrame(list(rows.values()), index=index, columns=VERSUS_BEST)


def _standing(
    table: pd.DataFrame, entry: str, best: str | None, standings: dict[str, Standing], undefined: bool
) -> tuple[float | None, float | None, str, str]:
    if entry not in standings:
        return None, None, "untested", "what ranks is undefined" if undefined else "no run on the common splits"
    if entry == best:
        return 0.0, None, "best", ""
    standing, gaps = standings[entry], (table[entry] - table[best]).dropna()
    difference = float(gaps.mean()) if len(gaps) else None
    if standing.p_value is None:
        return difference, None, "untested", standing.note
    return difference, standing.p_value, "worse" if standing.excluded else "not significantly different", ""


def _aggregate(group: pd.DataFrame) -> dict[str, Any]:
    done = group[group["status"] == "finished"]
    accuracy = done["accuracy"].to_numpy(dtype=float)
    low, high = confidence_interval(accuracy)
    first = (done if len(done) else group).iloc[0]
    statuses = group["status"].tolist()
    return {
        **{str(name): value for name, value in first[[*keys_of(over_seeds("first")), "code", "variant"]].items()},
        "seeds": len(done),
        "accuracy_mean": accuracy.mean() if len(done) else None,
        "accuracy_std": accuracy.std(ddof=1) if len(done) > 1 else None,
        "ci_low": low,
        "ci_high": high,
        "reason": "; ".join(dict.fromkeys(str(r) for r in group["reason"] if r)),
        "runs": " ".join(group["run_id"]),
        MIXED: mixture(done),
        **{status: statuses.count(status) for status in TROUBLES},
    }


def _means(names: Sequence[str], figures: np.ndarray) -> dict[str, float | None]:
    """Over the runs of a row, ``figures`` ``[runs, names]``, NaN where a run has none; None where none has."""
    there = ~np.isnan(figures)
    counts, sums = there.sum(axis=0), np.where(there, figures, 0.0).sum(axis=0)
    return {name: float(total / n) if n else None for name, total, n in zip(names, sums, counts, strict=True)}
