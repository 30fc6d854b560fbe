"""Which trial of a method is chosen: the best on validation, or what cannot be told from it nearer to the middle."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .grid import Grid, Point, from_middle

FEWEST = 3
"""Seeds from which a standard error says something."""


@dataclass(frozen=True)
class Choice:
    """The chosen point of a method, and its mean on validation data over the tuning seeds, in percent."""

    values: Point
    validation_accuracy: float


def choose(points: Sequence[Point], reached: Sequence[Sequence[float]], grid: Grid) -> Choice | None:
    """The best of a method's points. ``reached``: percent on validation per point and tuning seed, NaN where it failed.

    A point that failed at any seed is out. Those whose paired distance to the best is at most its standard error over
    the seeds are tied with it, and of these the one nearest to the middle of the grid is chosen: a difference of one
    image says little, and the middle has been tried from both sides. With fewer than ``FEWEST`` seeds only equal means
    are tied: of two distances one is within their standard error of zero whenever it is no worse at one of the seeds.
    """
    scored = [
        (point, np.asarray(accuracies, dtype=float))
        for point, accuracies in zip(points, reached, strict=True)
        if len(accuracies) and not any(math.isnan(accuracy) for accuracy in accuracies)
    ]
    if not scored:
        return None
    best = max(scored, key=lambda trial: float(trial[1].mean()))[1]
    tied = [(point, own) for point, own in scored if _level(best - own)]
    point, own = min(tied, key=lambda trial: (round(from_middle(trial[0], grid), 9), -float(trial[1].mean())))
    return Choice(point, float(own.mean()))


def _level(behind: np.ndarray) -> bool:
    """Whether so far behind per seed is no further than its standard error."""
    error = float(behind.std(ddof=1)) / math.sqrt(len(behind)) if len(behind) >= FEWEST else 0.0
    return float(behind.mean()) <= error + 1e-9
