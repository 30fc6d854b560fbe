"""Which entries of a scenario may be its best: a 95 % confidence set, from sign flips over seeds.

The best of many is chosen on the data it would be tested on, so nothing is tested against it. Instead, while those
that are left are not all alike, the worst of them goes (the model confidence set of Hansen, Lunde and Nason 2011,
Econometrica 79(2), with their range statistic and its elimination rule). The statistic is the greatest of all pairs'
mean differences over seeds. What it is among equals comes from flipping the signs of whole seeds, every pair's at once
(max-T of Westfall and Young 1993; step-down as Romano and Wolf 2005, JASA 100): exact where the seeds' differences
are symmetric about 0, and close to it for skewed ones (the tests simulate it). So all entries that are truly best are
in the set in 95 % of cases, however many there are, and the seeds that it takes do not depend on their number.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pfl_bench.text import counted

LEVEL = 0.95
MOST_FLIPPED = 12
"""Up to so many seeds all sign patterns are tried; beyond, as many random ones."""

DIGITS = 9
"""Differences of accuracies are compared to so many: the rest is rounding."""


@dataclass(frozen=True)
class Standing:
    """``p_value``: the level below which the entry is not in the set; 1 for the one that is left last. None where it
    could not have been excluded, whatever its accuracies; ``note`` says why."""

    p_value: float | None
    note: str = ""

    @property
    def excluded(self) -> bool:
        """Whether it is significantly worse than the best."""
        return self.p_value is not None and self.p_value <= 1 - LEVEL


def seeds_to_exclude(level: float = LEVEL) -> int:
    """Fewest common seeds with which an entry can be excluded: a pattern of signs and its opposite count alike."""
    return math.ceil(math.log2(2 / (1 - level)))


def confidence_set(table: pd.DataFrame) -> dict[str, Standing]:
    """The standing of every entry of an ``accuracy_table`` ``[seeds, entries]``.

    A pair counts with its common seeds, if it has ``seeds_to_exclude``; an entry without such a pair is not judged.
    """
    values = table.to_numpy(dtype=float)
    shared = _shared(values)
    needed = seeds_to_exclude()
    names = [str(entry) for entry in table.columns]
    found = {
        name: Standing(
            None, f"{counted(most, 'common seed')}; it takes {needed}" if len(names) > 1 else "there is no other entry"
        )
        for name, most in zip(names, shared.max(axis=1, initial=0), strict=True)
        if most < needed
    }
    family = [place for place, name in enumerate(names) if name not in found]
    p_values = _eliminate(values[:, family]) if family else []
    found |= {names[place]: Standing(p) for place, p in zip(family, p_values, strict=True)}
    return {name: found[name] for name in names}


def _shared(values: np.ndarray) -> np.ndarray:
    """Common seeds of every pair ``[entries, entries]``, 0 on the diagonal."""
    there = np.isfinite(values).astype(int)
    shared = there.T @ there
    np.fill_diagonal(shared, 0)
    return shared


def _eliminate(values: np.ndarray) -> list[float]:
    """Per entry of ``[seeds, entries]``, the p-value at which it goes: never less than that of one that went before."""
    count = values.shape[1]
    statistics = _statistics(values)
    p_values, left, reached = np.ones(count), np.arange(count), 0.0
    while len(left) > 1:
        own = statistics[:, left][:, :, left]
        greatest = own.max(axis=(1, 2))
        reached = max(reached, float(np.mean(greatest >= greatest[0])))
        behind = own[0].max(axis=0)
        gone = behind >= greatest[0]
        if gone.all():  # nobody is ahead of anybody
            break
        p_values[left[gone]] = reached
        left = left[~gone]
    return [float(p) for p in p_values]


def _statistics(values: np.ndarray) -> np.ndarray:
    """``[patterns, entries, entries]``: by how much the first entry is ahead of the second; the data come first.

    Sum of the differences over the root of their number, which varies alike for pairs with more and with fewer seeds.
    """
    ahead = np.round(values[:, :, None] - values[:, None, :], DIGITS)
    enough = _shared(values) >= seeds_to_exclude()
    scale = np.where(enough, np.sqrt(np.maximum(_shared(values), 1)), np.inf)
    sums = np.tensordot(_signs(len(values)), np.nan_to_num(ahead), 1)
    return np.asarray(np.round(sums / scale, DIGITS))


def _signs(seeds: int) -> np.ndarray:
    """Patterns ``[patterns, seeds]`` of 1 and -1, first the one that flips nothing; of opposite ones only one."""
    if seeds <= MOST_FLIPPED:
        return np.array([(1.0, *rest) for rest in itertools.product((1.0, -1.0), repeat=max(0, seeds - 1))])
    drawn = np.random.default_rng(0).choice((1.0, -1.0), size=(2 ** (MOST_FLIPPED - 1), seeds))
    drawn[0] = 1.0
    return drawn
