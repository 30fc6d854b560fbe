"""Scenarios as the replicates: is an entry better than a control that was named beforehand, over all of them?

A *results frame* has a row per run: ``scenario``, ``entry``, ``seed``, ``accuracy`` and, where it is known,
``partition_sha256``. Within a scenario seeds are averaged: they repeat one data set, and more of them make no further
scenario.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from pfl_bench.text import counted

from .best import LEVEL
from .paired import Interval, accuracy_table, holm, seeds_needed, signed_rank_p, student_interval

CONTROLS = ("fedavg_ft", "local")
"""Whom every entry is tested against, each a family of its own; named before any result was seen."""

POWER = 0.8

EVERY_SIGN = 2**16
"""Assignments of signs up to which all are tried; of more so many are drawn."""


@dataclass(frozen=True)
class Versus:
    """One entry against a control over scenarios; differences are the entry's mean minus the control's, in points.

    ``signed_rank``, ``sign_flip``: two-sided p-values by themselves; ``adjusted``: the former, Holm-adjusted over all
    entries that are tested against this control. ``needed``: scenarios with which the corrected test could find a
    difference of the size that was seen with a probability of 80 %, inf where there is none. NaN and None where there
    is no test, and ``note`` says why.
    """

    control: str
    entry: str
    scenarios: int
    wins: int
    losses: int
    difference: float
    interval: Interval
    signed_rank: float | None
    sign_flip: float | None
    adjusted: float | None
    needed: float
    note: str

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, ``not told apart``, or ``untested``."""
        if self.adjusted is None:
            return "untested"
        if self.adjusted > 1 - LEVEL:
            return "not told apart"
        return "better" if self.difference > 0 else "worse"


SeedTables = Mapping[str, pd.DataFrame]
"""By scenario: accuracy ``[seeds, entries]``, as ``paired.accuracy_table``."""


def seed_tables(runs: pd.DataFrame) -> SeedTables:
    """Of a results frame, in the order of its scenarios."""
    return {str(scenario): accuracy_table(own, str(scenario)) for scenario, own in runs.groupby("scenario", sort=False)}


def differences(tables: SeedTables, control: str) -> pd.DataFrame:
    """Mean difference to the control ``[scenarios, entries]``, over the seeds that both have on the same split; NaN
    where they have none. Scenarios without the control are no rows."""
    rows = {name: t.sub(t[control], axis=0).mean() for name, t in tables.items() if control in t}
    return pd.DataFrame.from_dict(rows, orient="index")


def versus(gains: pd.DataFrame, control: str) -> list[Versus]:
    """Every entry of ``differences`` against its control, tested together: Wilcoxon's signed ranks, exact, Holm."""
    others = [str(entry) for entry in gains.columns if entry != control]
    values = {entry: gains[entry].dropna().to_numpy(float) for entry in others}
    family = sum(len(own) >= seeds_needed(1) for own in values.values()) or max(1, len(others))
    fewest = seeds_needed(family)
    raw = {entry: signed_rank_p(own) for entry, own in values.items() if len(own) >= fewest}
    adjusted = dict(zip(raw, holm(list(raw.values())), strict=True))
    return [
        Versus(
            control, entry, len(own), int((own > 0).sum()), int((own < 0).sum()),
            float(own.mean()) if len(own) else math.nan, student_interval(own), raw.get(entry),
            sign_flip_p(own) if entry in raw else None, adjusted.get(entry),
            scenarios_needed(own, family),
            "" if entry in raw else f"{counted(len(own), 'scenario')}; a test of {counted(family, 'entry')} "
            f"takes {fewest}",
        )
        for entry, own in values.items()
    ]  # fmt: skip


def sign_flip_p(values: np.ndarray) -> float:
    """Two-sided p-value of the mean of differences ``[scenarios]`` where every assignment of signs is equally likely
    (SciPy's permutation test; exact up to 16 scenarios). 1 where nothing differs."""
    if not np.any(values):
        return 1.0
    every = 2.0 ** len(values) <= EVERY_SIGN
    found = stats.permutation_test(
        (values,), lambda own, axis: own.mean(axis=axis), permutation_type="samples", vectorized=True,
        n_resamples=np.inf if every else EVERY_SIGN, rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(found.pvalue)


def scenarios_needed(values: np.ndarray, comparisons: int, level: float = LEVEL, power: float = POWER) -> float:
    """Scenarios with which a Holm-corrected signed-rank test would find what ``values`` have as mean and spread.

    For normal differences, by the first step of Holm and the test's asymptotic efficiency of 3 / pi against Student's
    (Lehmann 1975, "Nonparametrics", 4.2): (z_(1 - a / 2m) + z_power)^2 s^2 / d^2 * pi / 3, and never fewer than those
    with which the test can reject at all. inf for a mean of 0, NaN for fewer than two values.
    """
    if len(values) < 2:
        return math.nan
    mean, spread = abs(float(values.mean())), float(values.std(ddof=1))
    if mean == 0:
        return math.inf
    reach = stats.norm.ppf(1 - (1 - level) / (2 * comparisons)) + stats.norm.ppf(power)
    count = math.ceil((reach * spread / mean) ** 2 * math.pi / 3)
    return float(max(count, seeds_needed(comparisons, level)))


def smallest_found(
    spread: float, scenarios: int, comparisons: int, level: float = LEVEL, power: float = POWER
) -> float:
    """The mean difference, in points, that so many scenarios would show with that probability, as in
    ``scenarios_needed``; inf where the test cannot reject at all."""
    if scenarios < seeds_needed(comparisons, level):
        return math.inf
    reach = stats.norm.ppf(1 - (1 - level) / (2 * comparisons)) + stats.norm.ppf(power)
    return float(reach * spread * math.sqrt(math.pi / 3 / scenarios))


def win_rates(means: pd.DataFrame) -> pd.Series:
    """Per entry of ``[scenarios, entries]``: how often, in percent, it is above another entry in a scenario; ties count
    half. What has no figure in a scenario takes no part there."""
    shares = {}
    for entry in means.columns:
        others = means.drop(columns=entry)
        own = means[entry]
        there = others.notna() & own.notna().to_numpy()[:, None]
        above = others.lt(own, axis=0) + 0.5 * others.eq(own, axis=0)
        shares[str(entry)] = 100.0 * float(above.where(there).sum().sum()) / max(1, int(there.sum().sum()))
    return pd.Series(shares, dtype=float)


LEAST_SPREAD = 1.0
"""Points between Local and the best below which a share of that distance says nothing."""


def improvability(means: pd.DataFrame, floor: str = "local") -> pd.DataFrame:
    """How far below the best of its scenario each entry is, in percent of the distance from ``floor`` to the best:
    0 for the best, 100 for the floor, more for what is worse. NaN in scenarios where that distance is below a point,
    or without the floor. The best is chosen on the data that it is judged on, so that this is a description, no test.
    """
    best = means.max(axis=1)
    base = means[floor] if floor in means else pd.Series(math.nan, index=means.index)
    distance = (best - base).where(best - base >= LEAST_SPREAD)
    return means.rsub(best, axis=0).div(distance, axis=0) * 100.0


def interval_of(values: Sequence[float]) -> Interval:
    """Student's interval of a mean over scenarios, NaN with fewer than two."""
    return student_interval(np.asarray(values, dtype=float))
