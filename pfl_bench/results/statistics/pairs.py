"""Any entry against any other, scenario by scenario: won, lost, tied, or untested.

Each pair is judged alone. Who looks through many pairs finds differences by chance; against a reference that was named
beforehand ``paired.compare_with`` corrects for that.
"""

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from .best import LEVEL
from .paired import student_interval
from .signed_rank import direction, seeds_needed, signed_rank_p

Outcome = Literal["win", "loss", "tie", "untested"]


@dataclass(frozen=True)
class Duel:
    """One entry minus another over their common seeds, in points; ``low`` and ``high``: Student's 95 % interval.

    ``p_value``: Wilcoxon signed-rank, exact, of this pair alone; None with too few seeds to reject at all.
    ``direction``: the side that the test is on.
    """

    seeds: int
    difference: float
    low: float
    high: float
    p_value: float | None
    direction: int

    @property
    def outcome(self) -> Outcome:
        """Of the first entry."""
        if self.p_value is None:
            return "untested"
        if self.p_value > 1 - LEVEL:
            return "tie"
        return "win" if self.direction > 0 else "loss"


def duels(table: pd.DataFrame) -> dict[tuple[str, str], Duel]:
    """Every pair of an ``accuracy_table`` ``[seeds, entries]``, in the order of its columns, that has a common seed."""
    values, names, enough = table.to_numpy(dtype=float), list(map(str, table.columns)), seeds_needed(1)
    found = {}
    for first, second in itertools.combinations(range(len(names)), 2):
        gaps = values[:, first] - values[:, second]
        gaps = gaps[~np.isnan(gaps)]
        if len(gaps):
            p_value = signed_rank_p(gaps) if len(gaps) >= enough else None
            interval = student_interval(gaps)
            duel = Duel(len(gaps), float(gaps.mean()), *interval, p_value, direction(gaps))
            found[names[first], names[second]] = duel
    return found
