"""Paired differences over seeds on equal splits: is an entry really better than one that was named beforehand?

A seed fixes partition, initial weights and cohorts for every method, so differences are taken seed by seed. What they
say holds for the one data set that all seeds share; ``clients.py`` has the error of its test samples.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from pfl_bench.text import counted

from .best import LEVEL
from .signed_rank import UNKNOWN, Interval, direction, seeds_needed, signed_rank_p

RESAMPLES = 10_000
BOOTSTRAP_SEEDS = 5
"""Fewest seeds for a bootstrap interval: with fewer its coverage falls short, whatever the correction."""

REFERENCES = ("local", "fedavg_ft", "fedavg")
"""Whom the others are compared with, named before any result was seen: the first of them that took part."""


def accuracy_table(runs: pd.DataFrame, scenario: str) -> pd.DataFrame:
    """Accuracy ``[seeds, entries]`` of one scenario's runs; NaN where an entry has no run at a seed.

    A run on another split than most runs of its seed (``partition_sha256``) is no pair to them and left out; what was
    not recorded is not held against a run.
    """
    own = runs[(runs["scenario"] == scenario) & runs["accuracy"].notna()]
    if "partition_sha256" in own and len(own):
        usual = own.groupby("seed")["partition_sha256"].transform(lambda hashes: next(iter(hashes.mode()), None))
        own = own[(own["partition_sha256"] == usual) | own["partition_sha256"].isna()]
    return own.pivot_table(index="seed", columns="entry", values="accuracy", aggfunc="mean", sort=False).astype(float)


def student_interval(values: np.ndarray, level: float = LEVEL) -> Interval:
    """Student's t interval of a mean; exact for normal values. NaN with fewer than two values."""
    if len(values) < 2:
        return UNKNOWN
    half = scipy.special.stdtrit(len(values) - 1, 0.5 + level / 2) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def expanded_tail(count: int, level: float = LEVEL) -> float:
    """The tail at which a percentile interval of ``count`` values must be cut to have its nominal coverage.

    A resampled mean varies by sqrt((n - 1) / n) too little, and normal instead of t quantiles come on top
    (Hesterberg 2015, "What teachers should know about the bootstrap", section 4: the expanded percentile interval).
    """
    t = scipy.special.stdtrit(count - 1, 0.5 + level / 2)
    return float(scipy.special.ndtr(-math.sqrt(count / (count - 1)) * t))


def bootstrap_over_seeds(differences: np.ndarray, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
    """Expanded percentile interval of the mean of differences ``[seeds]``. NaN below ``BOOTSTRAP_SEEDS``."""
    if len(differences) < BOOTSTRAP_SEEDS:
        return UNKNOWN
    values = np.sort(differences)  # the answer must not depend on the order of the seeds
    drawn = np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))
    return _cut(values[drawn].mean(axis=1), len(values), level)


def _cut(means: np.ndarray, count: int, level: float) -> Interval:
    tail = expanded_tail(count, level)
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


@dataclass(frozen=True)
class Comparison:
    """One entry against a reference: differences are the entry's accuracy minus the reference's, in points.

    ``p_value`` is Holm-adjusted over the comparisons made together, or None, and then ``note`` says why. ``direction``:
    the side that the test is on, which with skewed differences need not be that of their mean.
    """

    entry: str
    reference: str
    seeds: int
    difference: float
    student: Interval
    bootstrap: Interval
    p_value: float | None
    direction: int
    note: str

    @property
    def verdict(self) -> str:
        """``worse``, ``better``, ``not significantly different``, or ``untested``."""
        if self.p_value is None:
            return "untested"
        if self.p_value > 1 - LEVEL:
            return "not significantly different"
        return "better" if self.direction > 0 else "worse"


def reference_of(entries: Iterable[str]) -> str | None:
    """The first of ``REFERENCES`` among the entries, else the first by name. Accuracies play no part in it."""
    names = sorted(map(str, entries))
    return next((name for name in REFERENCES if name in names), names[0] if names else None)


def compare_with(table: pd.DataFrame, reference: str) -> list[Comparison]:
    """Every entry of an ``accuracy_table`` against one of them, tested together: Wilcoxon signed-rank, Holm.

    The reference must not have been chosen for its accuracy. What has too few common seeds for the test to be able to
    reject is no part of it, and its ``note`` says so.
    """
    others = [str(entry) for entry in table.columns if entry != reference]
    pairs = {entry: (table[entry] - table[reference]).dropna().to_numpy() for entry in others}
    family = sum(len(values) >= seeds_needed(1) for values in pairs.values())
    needed = seeds_needed(max(1, family))
    raw = {entry: signed_rank_p(values) for entry, values in pairs.items() if len(values) >= needed}
    adjusted = dict(zip(raw, holm(list(raw.values())), strict=True))
    return [
        Comparison(
            entry,
            reference,
            len(values),
            float(values.mean()) if len(values) else math.nan,
            student_interval(values),
            bootstrap_over_seeds(values),
            adjusted.get(entry),
            direction(values),
            ""
            if entry in adjusted
            else f"{counted(len(values), 'common seed')}; a test of {max(1, family)} needs {needed}",
        )
        for entry, values in pairs.items()
    ]


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down adjustment, in the order given: the k-th smallest of n times n - k + 1, and none falls below a
    smaller one's.

    Not that of statsmodels, to which a test holds it: theirs collects all garbage of the process at every call, 0.1 to
    0.4 s where a board's frames are loaded, and a board takes some sixty.
    """
    values = np.asarray(p_values, dtype=float)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)).clip(max=1.0)
    adjusted = np.empty_like(values)
    adjusted[order] = stepped
    return adjusted.tolist()


def best_entry(table: pd.DataFrame, excluded: Collection[str] = ()) -> str | None:
    """The entry with the highest mean accuracy of those not excluded; ties go to the first name. None without any."""
    means = table.drop(columns=list(excluded)).mean().dropna().sort_index()
    return None if means.empty else str(means.idxmax())
