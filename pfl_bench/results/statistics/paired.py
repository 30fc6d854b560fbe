"""Paired differences over seeds on equal splits: is one entry really better than another?

A seed fixes partition, initial weights and cohorts for every method, so differences are taken seed by seed.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95
RESAMPLES = 10_000
CLIENT_RESAMPLES = 200
BOOTSTRAP_SEEDS = 5
"""Fewest seeds for a bootstrap interval: with fewer its coverage falls short, whatever the correction."""

EXACT_WITH_TIES = 10

Interval = tuple[float, float]
UNKNOWN: Interval = (math.nan, math.nan)


def accuracy_table(runs: pd.DataFrame, scenario: str) -> pd.DataFrame:
    """Accuracy ``[seeds, entries]`` of one scenario's runs; NaN where an entry has no run at a seed.

    A run on another split than most runs of its seed (``partition_sha256``) is no pair to them and left out.
    """
    own = runs[(runs["scenario"] == scenario) & runs["accuracy"].notna()]
    if "partition_sha256" in own and len(own):
        usual = own.groupby("seed")["partition_sha256"].transform(lambda hashes: hashes.mode(dropna=False).iloc[0])
        own = own[(own["partition_sha256"] == usual) | own["partition_sha256"].isna()]
    return own.pivot_table(index="seed", columns="entry", values="accuracy", aggfunc="mean", sort=False).astype(float)


def student_interval(values: np.ndarray, level: float = LEVEL) -> Interval:
    """Student's t interval of a mean; exact for normal values. NaN with fewer than two values."""
    if len(values) < 2:
        return UNKNOWN
    half = stats.t.ppf(0.5 + level / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def expanded_tail(count: int, level: float = LEVEL) -> float:
    """The tail at which a percentile interval of ``count`` values must be cut to have its nominal coverage.

    A resampled mean varies by sqrt((n - 1) / n) too little, and normal instead of t quantiles come on top
    (Hesterberg 2015, "What teachers should know about the bootstrap", section 4: the expanded percentile interval).
    """
    t = stats.t.ppf(0.5 + level / 2, count - 1)
    return float(stats.norm.cdf(-math.sqrt(count / (count - 1)) * t))


def bootstrap_over_seeds(differences: np.ndarray, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
    """Expanded percentile interval of the mean of differences ``[seeds]``. NaN below ``BOOTSTRAP_SEEDS``."""
    if len(differences) < BOOTSTRAP_SEEDS:
        return UNKNOWN
    values = np.sort(differences)  # the answer must not depend on the order of the seeds
    drawn = np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))
    return _cut(values[drawn].mean(axis=1), len(values), level)


def bootstrap_over_clients(
    gains: np.ndarray, samples: np.ndarray, level: float = LEVEL, resamples: int = RESAMPLES
) -> Interval:
    """As ``bootstrap_over_seeds``, with clients resampled within every resampled seed.

    ``gains``, ``samples`` ``[seeds, clients]``: one entry's correct predictions minus the other's, and test samples;
    the difference of a seed is the pooled one, 100 sum(gains) / sum(samples), in points.
    """
    seeds, clients = gains.shape
    if seeds < BOOTSTRAP_SEEDS:
        return UNKNOWN
    order = np.argsort(gains.sum(axis=1) / samples.sum(axis=1), kind="stable")
    rng = np.random.default_rng(0)
    times = rng.multinomial(clients, np.full(clients, 1 / clients), size=CLIENT_RESAMPLES).astype(float)
    bank = 100 * (gains[order] @ times.T) / (samples[order] @ times.T)
    drawn = rng.integers(seeds, size=(resamples, seeds))
    which = rng.integers(CLIENT_RESAMPLES, size=(resamples, seeds))
    return _cut(bank[drawn, which].mean(axis=1), seeds, level)


def _cut(means: np.ndarray, count: int, level: float) -> Interval:
    tail = expanded_tail(count, level)
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def seeds_needed(comparisons: int, level: float = LEVEL) -> int:
    """Fewest seeds with which a Holm-corrected two-sided Wilcoxon test of so many comparisons can reject at all."""
    return math.ceil(math.log2(2 * comparisons / (1 - level)))


@dataclass(frozen=True)
class Comparison:
    """One entry against a reference: differences are the entry's accuracy minus the reference's, in points.

    ``p_value`` is Holm-adjusted over the comparisons made together, or None, and then ``note`` says why.
    """

    entry: str
    reference: str
    seeds: int
    difference: float
    student: Interval
    bootstrap: Interval
    p_value: float | None
    note: str

    @property
    def verdict(self) -> str:
        """``worse``, ``better``, ``not significantly different``, or ``untested``."""
        if self.p_value is None:
            return "untested"
        if self.p_value > 1 - LEVEL:
            return "not significantly different"
        return "better" if self.difference > 0 else "worse"


def compare_with(table: pd.DataFrame, reference: str) -> list[Comparison]:
    """Every entry of an ``accuracy_table`` against one of them, tested together: Wilcoxon signed-rank, Holm.

    With too few common seeds for the test to be able to reject, it says so instead.
    """
    others = [str(entry) for entry in table.columns if entry != reference]
    pairs = {entry: (table[entry] - table[reference]).dropna().to_numpy() for entry in others}
    needed = seeds_needed(max(1, len(others)))
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
            "" if entry in adjusted else f"{len(values)} common seeds; a test of {len(others)} needs {needed}",
        )
        for entry, values in pairs.items()
    ]


def signed_rank_p(differences: np.ndarray) -> float:
    """Two-sided Wilcoxon signed-rank p-value (scipy); 1 where nothing differs.

    Exact, but for ties among more than ``EXACT_WITH_TIES`` values: there scipy would try all 2^n signs.
    """
    if not np.any(differences):
        return 1.0
    sizes = np.abs(differences)
    ties = len(np.unique(sizes)) < len(sizes) or not sizes.all()
    method = "asymptotic" if ties and len(sizes) > EXACT_WITH_TIES else "auto"
    return float(stats.wilcoxon(differences, method=method).pvalue)


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down adjustment (statsmodels)."""
    if not p_values:
        return []
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def best_entry(table: pd.DataFrame) -> str | None:
    """The entry with the highest mean accuracy; ties go to the first name. None for an empty table."""
    means = table.mean().dropna().sort_index()
    return None if means.empty else str(means.idxmax())
