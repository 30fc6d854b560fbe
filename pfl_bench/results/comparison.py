"""Two result folders, say before and after a change: which cells moved, and beyond noise or not?

Runs are paired by seed on equal splits. A continuous-integration job has few seeds, with which a rank test can never
reject, so differences are judged by Student's paired t test (which assumes normal differences), Holm-corrected over
all cells. Imports neither torch nor ray.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from pfl_bench.results.statistics.paired import LEVEL, Interval, holm, student_interval

from .entries import entries
from .order import natural_key

FEWEST_SEEDS = 3
KEYS = ["scenario", "method", "config_hash"]

Verdict = Literal["same", "within noise", "better", "worse", "too few seeds", "other splits", "lost", "new", "gone"]
REGRESSIONS: tuple[Verdict, ...] = ("worse", "lost")


@dataclass(frozen=True)
class Moved:
    """One cell: scenario x entry, accuracies in percent, ``difference`` is after minus before over common seeds.

    ``lost``: it had finished runs before, and those seeds have failed or diverged since. ``gone``: it is not there.
    """

    scenario: str
    entry: str
    before: float
    after: float
    seeds: int
    difference: float
    interval: Interval
    p_value: float | None
    verdict: Verdict


def compare(before: pd.DataFrame, after: pd.DataFrame) -> list[Moved]:
    """Every cell of two results frames (``leaderboard.frame.read_runs``), in the order of scenario and entry."""
    names = pd.concat([before, after], ignore_index=True)
    names["entry"] = entries(names)
    cells = [
        _cell(row["entry"], [row[key] for key in KEYS], before, after)
        for row in names.drop_duplicates(KEYS).to_dict("records")
    ]
    raw = [cell.p_value for cell in cells if cell.p_value is not None]
    adjusted = iter(holm(raw))
    judged = [cell if cell.p_value is None else _judged(cell, next(adjusted)) for cell in cells]
    return sorted(judged, key=lambda cell: (natural_key(cell.scenario), cell.entry))


def regressions(moved: Sequence[Moved]) -> list[Moved]:
    """The cells that got significantly worse, or whose runs fail now."""
    return [cell for cell in moved if cell.verdict in REGRESSIONS]


def _cell(entry: str, key: list[str], before: pd.DataFrame, after: pd.DataFrame) -> Moved:
    """A cell with its unadjusted p-value, if it can be tested."""
    old, new = (_runs(frame, key) for frame in (before, after))
    a, b = (frame[frame["status"] == "finished"].set_index("seed") for frame in (old, new))
    common = a.index.intersection(b.index)
    equal = common[(a.loc[common, "partition_sha256"] == b.loc[common, "partition_sha256"]).to_numpy(dtype=bool)]
    values = (b.loc[equal, "accuracy"] - a.loc[equal, "accuracy"]).to_numpy(dtype=float)
    verdict, p_value = _verdict(old, new, len(common), values)
    return Moved(
        scenario=key[0],
        entry=entry,
        before=_mean(a["accuracy"]),
        after=_mean(b["accuracy"]),
        seeds=len(values),
        difference=_mean(values),
        interval=student_interval(values),
        p_value=p_value,
        verdict=verdict,
    )


def _mean(values: pd.Series | np.ndarray) -> float:
    return float(np.mean(np.asarray(values, dtype=float))) if len(values) else math.nan


def _runs(frame: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    own = frame[(frame[KEYS] == key).all(axis=1)]
    return own.sort_values("status", key=lambda status: status != "finished").drop_duplicates("seed")


def _verdict(old: pd.DataFrame, new: pd.DataFrame, common: int, values: np.ndarray) -> tuple[Verdict, float | None]:
    if old.empty or new.empty:
        return ("new" if old.empty else "gone"), None
    done = set(old.loc[old["status"] == "finished", "seed"])
    if done & set(new.loc[new["status"].isin(["failed", "diverged"]), "seed"]):
        return "lost", None
    if common and not len(values):
        return "other splits", None
    if len(values) and not np.any(values):
        return "same", None
    if len(values) < FEWEST_SEEDS:
        return "too few seeds", None
    if np.ptp(values) == 0:  # moved by exactly as much at every seed: no noise to compare with
        return "within noise", 0.0
    return "within noise", float(stats.ttest_1samp(values, 0.0).pvalue)


def _judged(cell: Moved, adjusted: float) -> Moved:
    verdict: Verdict = "within noise"
    if adjusted <= 1 - LEVEL:
        verdict = "worse" if cell.difference < 0 else "better"
    return replace(cell, p_value=adjusted, verdict=verdict)
