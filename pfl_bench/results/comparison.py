"""Two result folders, say before and after a change: which cells moved, and beyond noise or not?

Scenarios (with their budget, batch size and all else that is in them) and configurations that differ are cells of their
own. In a cell runs are paired by seed on equal data and splits, and on equal code where both folders have it: what code
a folder has of a method alone is the change that is asked about. All figures of a cell are of these pairs; what has no
like is named. A continuous-integration job has few
seeds, with which a rank test can never reject, so differences are judged by Student's paired t test (which assumes
normal differences), Holm-corrected over all cells. Imports neither torch nor ray.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import scipy

from pfl_bench.results.statistics.best import LEVEL
from pfl_bench.results.statistics.paired import holm, student_interval
from pfl_bench.results.statistics.signed_rank import Interval

from .comparable import DIGITS, IDENTITIES, plain
from .entries import entries
from .order import natural_key
from .primary import by_primary
from .statistics.best import DIGITS as ROUNDING

FEWEST_SEEDS = 3
KEYS = ["scenario", "scenario_hash", "method", "config_hash"]

Verdict = Literal[
    "same",
    "within noise",
    "better",
    "worse",
    "too few seeds",
    "other data",
    "other splits",
    "undefined",
    "lost",
    "new",
    "gone",
]
UNJUDGED: tuple[Verdict, ...] = ("too few seeds", "other data", "other splits", "undefined")
REGRESSIONS: tuple[Verdict, ...] = ("worse", "lost", "gone")


@dataclass(frozen=True)
class Moved:
    """One cell: scenario x entry. ``before`` and ``after`` are mean accuracies, percent, over the same ``seeds`` pairs
    of runs, and ``difference`` is the latter minus the former; NaN without a pair, but for a cell that is there on one
    side only (``new``, ``gone``): its own mean.

    ``lost``: it had finished runs before, and those seeds failed, diverged or were skipped since. ``gone``: it is not
    there. ``left_out``: runs of it that have no like on the other side, in words.
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
    left_out: tuple[str, ...] = ()


def compare(before: pd.DataFrame, after: pd.DataFrame) -> list[Moved]:
    """Every cell of two results frames (``frame.read_runs``), in the order of scenario and entry."""
    frames = [by_primary(frame).assign(scenario=frame["scenario"].map(plain)) for frame in (before, after)]
    names = pd.concat(frames, ignore_index=True).drop(columns="code_label")
    names["entry"] = entries(names)
    hashes = names.groupby("scenario")["scenario_hash"].transform("nunique")
    names["title"] = names["scenario"].where(hashes <= 1, names["scenario"] + " [" + names["scenario_hash"] + "]")
    frames = [frame.assign(_kind=_kind(frame)) for frame in frames]
    runs = [{key: _one_a_seed(part) for key, part in frame.groupby(KEYS, sort=False)} for frame in frames]
    nothing = [frame.iloc[:0] for frame in frames]
    cells = []
    for row in names.drop_duplicates(KEYS).to_dict("records"):
        key = tuple(row[name] for name in KEYS)
        sides = (own.get(key, none) for own, none in zip(runs, nothing, strict=True))
        cells.append(_cell(row["title"], row["entry"], *sides))
    raw = [cell.p_value for cell in cells if cell.p_value is not None]
    adjusted = iter(holm(raw))
    judged = [cell if cell.p_value is None else _judged(cell, next(adjusted)) for cell in cells]
    return sorted(judged, key=lambda cell: (natural_key(cell.scenario), cell.entry))


def regressions(moved: Sequence[Moved]) -> list[Moved]:
    """The cells that got significantly worse, whose runs fail now, or that are gone."""
    return [cell for cell in moved if cell.verdict in REGRESSIONS]


def _cell(scenario: str, entry: str, before: pd.DataFrame, after: pd.DataFrame) -> Moved:
    """A cell with its unadjusted p-value, if it can be tested."""
    old, new = _alike(before, after)
    a, b = (frame[frame["status"] == "finished"].set_index("seed") for frame in (old, new))
    same_data = old.empty or new.empty or _one(old, "data_sha256") == _one(new, "data_sha256")
    common = a.index.intersection(b.index)
    equal = common[(a.loc[common, "partition_sha256"] == b.loc[common, "partition_sha256"]).to_numpy(dtype=bool)]
    equal = equal if same_data else equal[:0]
    told = equal[(a.loc[equal, "accuracy"].notna() & b.loc[equal, "accuracy"].notna()).to_numpy(dtype=bool)]
    undefined, equal = equal.difference(told), told
    values = (b.loc[equal, "accuracy"] - a.loc[equal, "accuracy"]).to_numpy(dtype=float).round(ROUNDING)
    verdict, p_value = _verdict(old, new, len(common), len(undefined), values) if same_data else ("other data", None)
    alone = verdict in ("new", "gone")
    left_out = [*_left_out("before", before, old), *_left_out("after", after, new)]
    left_out += [] if alone else [*_unpaired("before", a, new), *_unpaired("after", b, old)]
    if same_data and len(values) + len(undefined) < len(common):
        left_out.append(f"seeds {_listed(common.difference(equal).difference(undefined))}: other splits")
    if len(undefined):
        left_out.append(f"seeds {_listed(undefined)}: what ranks is undefined")
    return Moved(
        scenario=scenario,
        entry=entry,
        before=_mean((a if alone else a.loc[equal])["accuracy"]),
        after=_mean((b if alone else b.loc[equal])["accuracy"]),
        seeds=len(values),
        difference=_mean(values),
        interval=student_interval(values),
        p_value=p_value,
        verdict=verdict,
        left_out=tuple(left_out),
    )


def _unpaired(side: str, finished: pd.DataFrame, others: pd.DataFrame) -> list[str]:
    """Finished runs of one side (by seed) whose seed the other side lacks or has not finished."""
    status = others.set_index("seed")["status"].to_dict()
    by_reason: dict[str, list[int]] = {}
    for seed in finished.index:
        if status.get(seed) != "finished":
            by_reason.setdefault(status.get(seed, "no like"), []).append(seed)
    other = "after" if side == "before" else "before"
    return [f"{side}, seeds {_listed(pd.Index(seeds))}: {why} {other}" for why, seeds in by_reason.items()]


def _alike(before: pd.DataFrame, after: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of each side the runs of one kind, data and code: those that are most like the other side's.

    Equal data count most, then equal code, then common seeds, then the number of runs.
    """
    if max(before["_kind"].nunique(), after["_kind"].nunique()) <= 1:
        return before, after
    old, new = ([part for _, part in frame.groupby("_kind", sort=False)] or [frame] for frame in (before, after))

    def likeness(pair: tuple[pd.DataFrame, pd.DataFrame]) -> tuple[bool, bool, int, int]:
        a, b = pair
        common = len(set(a["seed"]) & set(b["seed"]))
        return _one(a, "data_sha256") == _one(b, "data_sha256"), _codes(a) == _codes(b), common, len(a) + len(b)

    return max(itertools.product(old, new), key=likeness)


def _kind(runs: pd.DataFrame) -> pd.Series:
    columns = runs[["data_sha256", *IDENTITIES]].fillna("").astype(str)
    return pd.Series(["|".join(own) for own in columns.itertuples(index=False)], index=runs.index, dtype=object)


def _one(runs: pd.DataFrame, column: str) -> str:
    return str(runs[column].fillna("").iloc[0]) if len(runs) else ""


def _codes(runs: pd.DataFrame) -> list[str]:
    return [_one(runs, column) for column in IDENTITIES]


def _left_out(side: str, every: pd.DataFrame, kept: pd.DataFrame) -> list[str]:
    if len(kept) == len(every):
        return []
    rest, found = every.drop(index=kept.index), []
    for _, part in rest.groupby("_kind", sort=False):
        data, code = _one(part, "data_sha256"), "".join(_codes(part))
        what = f"data {data[:DIGITS]}" if data != _one(kept, "data_sha256") else f"code {code[:DIGITS] or 'as shipped'}"
        found.append(f"{side}, seeds {_listed(part['seed'])}: {what}")
    return found


def _listed(seeds: pd.Series | pd.Index) -> str:
    return ", ".join(str(seed) for seed in sorted(seeds))


def _mean(values: pd.Series | np.ndarray) -> float:
    return float(np.mean(np.asarray(values, dtype=float))) if len(values) else math.nan


def _one_a_seed(runs: pd.DataFrame) -> pd.DataFrame:
    """Of each seed one run, a finished one if there is any."""
    return runs.sort_values("status", key=lambda status: status != "finished").drop_duplicates("seed")


def _verdict(
    old: pd.DataFrame, new: pd.DataFrame, common: int, undefined: int, values: np.ndarray
) -> tuple[Verdict, float | None]:  # fmt: skip
    if old.empty or new.empty:
        return ("new" if old.empty else "gone"), None
    done = set(old.loc[old["status"] == "finished", "seed"])
    if done & set(new.loc[new["status"].isin(["failed", "diverged", "skipped"]), "seed"]):
        return "lost", None
    if common and not len(values):
        return ("undefined" if undefined else "other splits"), None
    if len(values) and not np.any(values):
        return "same", None
    if len(values) < FEWEST_SEEDS:
        return "too few seeds", None
    if np.ptp(values) == 0:  # moved by exactly as much at every seed: no noise to compare with
        return "within noise", 0.0
    return "within noise", float(scipy.stats.ttest_1samp(values, 0.0).pvalue)


def _judged(cell: Moved, adjusted: float) -> Moved:
    verdict: Verdict = "within noise"
    if adjusted <= 1 - LEVEL:
        verdict = "worse" if cell.difference < 0 else "better"
    return replace(cell, p_value=adjusted, verdict=verdict)
