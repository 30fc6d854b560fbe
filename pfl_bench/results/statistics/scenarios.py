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
import scipy

from pfl_bench.text import counted

from .best import DIGITS, LEVEL
from .paired import accuracy_table, holm, student_interval
from .signed_rank import Interval, below_p, direction, seeds_needed, shift, signed_rank_p

CONTROLS = ("fedavg_ft", "local")
"""Whom every entry is tested against, each a family of its own; named before any result was seen."""

MARGIN = 1.0
"""Points by which an entry may be better and is still called close to a control; named before any result was seen."""

TINY = 1e-9
"""Differences of accuracies below it are rounding."""

EVERY_SIGN = 2**16
"""Assignments of signs up to which all are tried; of more so many are drawn."""


@dataclass(frozen=True)
class Versus:
    """One entry against a control over scenarios; differences are the entry's mean minus the control's, in points.

    ``difference``, ``interval``: the shift that the signed-rank test is about, and those that it does not reject at
    95 % for this entry alone (``signed_rank.shift``); ``mean``: of the differences. ``signed_rank``, ``sign_flip``:
    two-sided p-values by themselves, the latter of the mean; ``by_source``: of sign flips of whole sources of data,
    whose scenarios are no independent repetitions; ``adjusted``: the first, Holm-adjusted over all entries that are
    tested against this control. ``close``: one-sided, Holm-adjusted likewise, that the entry is less than ``MARGIN``
    points better. ``direction``: the side that the ranks are on. NaN and None where there is no test, and ``note``
    says why.
    """

    control: str
    entry: str
    scenarios: int
    wins: int
    losses: int
    difference: float
    interval: Interval
    mean: float
    signed_rank: float | None
    sign_flip: float | None
    by_source: float | None
    adjusted: float | None
    close: float | None
    direction: int
    note: str

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, ``not told apart``, or ``untested``."""
        if self.adjusted is None:
            return "untested"
        if self.adjusted > 1 - LEVEL:
            return "not told apart"
        return "better" if self.direction > 0 else "worse"


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


def versus(gains: pd.DataFrame, control: str, sources: Mapping[str, str] | None = None) -> list[Versus]:
    """Every entry of ``differences`` against its control, tested together: Wilcoxon's signed ranks, exact, Holm.

    An entry is tested where it differs from the control in as many scenarios as a test of so many entries takes.
    ``sources``: by scenario, where its data come from; without it each is its own.
    """
    others = [str(entry) for entry in gains.columns if entry != control]
    own = {entry: gains[entry].dropna() for entry in others}
    moved = {entry: int((values.abs() > TINY).sum()) for entry, values in own.items()}
    family = sum(count >= seeds_needed(1) for count in moved.values()) or max(1, len(others))
    fewest = seeds_needed(family)
    tested = [entry for entry in others if moved[entry] >= fewest]
    raw = {entry: signed_rank_p(own[entry].to_numpy(float)) for entry in tested}
    adjusted = dict(zip(tested, holm([raw[entry] for entry in tested]), strict=True))
    below = [below_p(own[entry].to_numpy(float), MARGIN) for entry in tested]
    close = dict(zip(tested, holm(below), strict=True))
    return [
        _versus(
            control, entry, own[entry], sources or {}, raw.get(entry), adjusted.get(entry), close.get(entry),
            "" if entry in raw else f"{counted(moved[entry], 'scenario')} with a difference; a test of "
            f"{counted(family, 'entry')} takes {fewest}",
        )
        for entry in others
    ]  # fmt: skip


def _versus(
    control: str, entry: str, gains: pd.Series, sources: Mapping[str, str], raw: float | None,
    adjusted: float | None, close: float | None, note: str,
) -> Versus:  # fmt: skip
    own = gains.to_numpy(float)
    difference, interval = shift(own)
    of_sources = gains.groupby([sources.get(str(name), str(name)) for name in gains.index]).sum().to_numpy(float)
    return Versus(
        control, entry, len(own), int((own > TINY).sum()), int((own < -TINY).sum()), difference, interval,
        float(own.mean()) if len(own) else math.nan, raw,
        None if raw is None else sign_flip_p(own), None if raw is None else sign_flip_p(of_sources),
        adjusted, close, direction(own), note,
    )  # fmt: skip


def sign_flip_p(values: np.ndarray) -> float:
    """Two-sided p-value of the mean of differences ``[scenarios]`` where every assignment of signs is equally likely
    (SciPy's permutation test; exact up to 16 scenarios). 1 where nothing differs, and of one scenario, whose other sign
    is as far from 0."""
    if len(values) < 2 or not np.any(values):
        return 1.0
    every = 2.0 ** len(values) <= EVERY_SIGN
    found = scipy.stats.permutation_test(
        (values,), lambda own, axis: own.mean(axis=axis), permutation_type="samples", vectorized=True,
        n_resamples=np.inf if every else EVERY_SIGN, rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(found.pvalue)


def win_rates(means: pd.DataFrame) -> pd.Series:
    """Per entry of ``[scenarios, entries]``: how often, in percent, it is above another entry in a scenario; ties count
    half. What has no figure in a scenario takes no part there; NaN of what has no pair."""
    values = np.round(means.to_numpy(dtype=float), DIGITS)
    shares = {}
    for column, entry in enumerate(means.columns):
        own, others = values[:, [column]], np.delete(values, column, axis=1)
        pairs = int((~np.isnan(own) & ~np.isnan(others)).sum())
        wins, ties = int((own > others).sum()), int((own == others).sum())
        shares[str(entry)] = 100.0 * (wins + 0.5 * ties) / pairs if pairs else math.nan
    return pd.Series(shares, dtype=float)


TELLS = 5.0
"""Points between Local and the best from which a scenario is said to tell entries apart."""


def improvability(means: pd.DataFrame, floor: str = "local") -> pd.DataFrame:
    """How far below the best of its scenario each entry is, in percent of the distance from ``floor`` to the best:
    0 for the best, 100 for the floor, more for what is worse. Of scenarios where that distance is ``TELLS`` points and
    more: a share of less says nothing. The best is chosen on the data that it is judged on, so that this is a
    description, no test.
    """
    best = means.max(axis=1)
    base = means[floor] if floor in means else pd.Series(math.nan, index=means.index)
    distance = (best - base).where(best - base >= TELLS)
    return means.rsub(best, axis=0).div(distance, axis=0) * 100.0


def interval_of(values: Sequence[float]) -> Interval:
    """Student's interval of a mean over scenarios, NaN with fewer than two."""
    return student_interval(np.asarray(values, dtype=float))
