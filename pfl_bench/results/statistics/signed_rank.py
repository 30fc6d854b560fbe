"""Wilcoxon's signed-rank test, exact; the shift that it is about, its interval, and how much it can find.

The estimate and the interval are of the test itself (Hodges and Lehmann 1963; Lehmann 1975, "Nonparametrics", 4.2 to
4.4), so that an interval without 0 and a rejection at the same level are one thing, which they are not with a mean and
Student's interval where differences are skewed. With differences of exactly 0 they can part: the test leaves them out,
the shift counts them. Which side a rejection is on, ``direction`` says in any case.
"""

import math
from functools import cache, lru_cache

import numpy as np
import scipy

from .best import DIGITS, LEVEL

Interval = tuple[float, float]
UNKNOWN: Interval = (math.nan, math.nan)

POWER = 0.8

DRAWS = 4000
MOST_SIMULATED = 60
"""Scenarios up to which power is simulated; beyond, the test's normal approximation is close enough (0.04 above)."""


def seeds_needed(comparisons: int, level: float = LEVEL) -> int:
    """Fewest seeds with which a Holm-corrected two-sided Wilcoxon test of so many comparisons can reject at all."""
    return math.ceil(math.log2(2 * comparisons / (1 - level)))


def shift(values: np.ndarray, level: float = LEVEL) -> tuple[float, Interval]:
    """The median of the mean of every two differences ``[n]``, each with itself too, and the interval of all shifts
    that the two-sided test does not reject; NaN where it rejects none, whatever the values (fewer than six at 95 %)."""
    if not len(values):
        return math.nan, UNKNOWN
    pairs = np.triu_indices(len(values))
    means = np.sort((values[pairs[0]] + values[pairs[1]]) / 2)
    cut = _critical(len(values), 1 - level)
    interval = UNKNOWN if cut is None else (float(means[cut]), float(means[len(means) - 1 - cut]))
    return float(np.median(means)), interval


def signed_rank_p(differences: np.ndarray) -> float:
    """Two-sided Wilcoxon signed-rank p-value, exact with ties and zeros: every assignment of signs to the (mid)ranks
    of the sizes that are not 0 is equally likely (Pratt and Gibbons 1981, "Concepts of Nonparametric Theory", 3.7).

    1 where nothing differs. scipy's is exact without ties only, or tries all 2^n signs.
    """
    found = _doubled_ranks(differences)
    if found is None:
        return 1.0
    chances, sums = found
    return float(min(1.0, 2 * min(chances[: sums + 1].sum(), chances[sums:].sum())))


def direction(differences: np.ndarray) -> int:
    """The side that the signed ranks are on: 1 where positive ones sum up to more, -1 to less, else 0. With skewed
    differences that need not be the side of their mean."""
    found = _doubled_ranks(differences)
    return 0 if found is None else int(np.sign(2 * found[1] - (len(found[0]) - 1)))


def below_p(values: np.ndarray, margin: float) -> float:
    """One-sided p-value of the claim that differences are below a margin, exact as ``signed_rank_p``: small where they
    clearly are."""
    found = _doubled_ranks(margin - values)
    if found is None:
        return 1.0
    chances, sums = found
    return float(min(1.0, chances[sums:].sum()))


def _doubled_ranks(differences: np.ndarray) -> tuple[np.ndarray, int] | None:
    """How likely each sum of twice the positive ranks is, and the one that was seen; None where nothing differs."""
    moved = np.round(differences, DIGITS)
    moved = moved[moved != 0]
    if not len(moved):
        return None
    doubled = np.round(2 * scipy.stats.rankdata(np.abs(moved))).astype(int)  # midranks are halves
    return _chances(tuple(sorted(doubled.tolist()))), int(doubled[moved > 0].sum())


@lru_cache(maxsize=256)
def _chances(ranks: tuple[int, ...]) -> np.ndarray:
    """How likely each sum of the ranks with a positive sign is, were all signs equally likely."""
    chances = np.ones(1)
    for rank in ranks:
        grown = np.zeros(len(chances) + rank)
        grown[: len(chances)] += chances / 2
        grown[rank:] += chances / 2
        chances = grown
    return chances


@cache
def _critical(count: int, size: float) -> int | None:
    """The largest sum of positive ranks at which a two-sided test of that size rejects; None if it never does."""
    tail = np.cumsum(_chances(tuple(range(1, count + 1))))
    found = np.flatnonzero(2 * tail <= size + 1e-12)
    return int(found[-1]) if len(found) else None


@cache
def _standard(count: int) -> np.ndarray:
    """Standard normal samples ``[DRAWS, count]``, always the same."""
    return np.random.default_rng(0).standard_normal((DRAWS, count))


def power(effect: float, count: int, comparisons: int, level: float = LEVEL) -> float:
    """How often the test finds a mean of ``effect`` standard deviations in ``count`` normal differences, as the first
    of so many comparisons that Holm's method looks at; up to ``MOST_SIMULATED`` by simulation."""
    size = (1 - level) / comparisons
    if count > MOST_SIMULATED:
        reach = effect * math.sqrt(3 * count / math.pi)
        return float(scipy.special.ndtr(reach - scipy.special.ndtri(1 - size / 2)))
    cut = _critical(count, size)
    if cut is None:
        return 0.0
    drawn = _standard(count) + effect
    ranks = np.abs(drawn).argsort(axis=1).argsort(axis=1) + 1
    positive = np.where(drawn > 0, ranks, 0).sum(axis=1)
    whole = count * (count + 1) // 2
    return float(np.mean((positive <= cut) | (positive >= whole - cut)))


def smallest_found(
    spread: float, count: int, comparisons: int, level: float = LEVEL, reach: float = POWER
) -> float:  # fmt: skip
    """The mean difference, in points, that so many scenarios show with that probability where differences have this
    standard deviation; inf where the test cannot reject at all."""
    if count < seeds_needed(comparisons, level):
        return math.inf
    low, high = 0.0, 1.0
    while power(high, count, comparisons, level) < reach:
        high *= 2
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle, count, comparisons, level) < reach else (low, middle)
    return high * spread


def scenarios_needed(
    difference: float, spread: float, comparisons: int, level: float = LEVEL, reach: float = POWER
) -> float:
    """Scenarios with which a true mean difference would be found with that probability; inf for none, NaN where the
    spread is unknown."""
    if math.isnan(spread):
        return math.nan
    if difference == 0:
        return math.inf
    fewest = seeds_needed(comparisons, level)
    if spread == 0:
        return float(fewest)
    effect = abs(difference) / spread
    if power(effect, MOST_SIMULATED, comparisons, level) < reach:
        quantiles = scipy.special.ndtri(1 - (1 - level) / (2 * comparisons)) + scipy.special.ndtri(reach)
        return float(math.ceil((quantiles / effect) ** 2 * math.pi / 3))
    return float(next(n for n in range(fewest, MOST_SIMULATED + 1) if power(effect, n, comparisons, level) >= reach))
