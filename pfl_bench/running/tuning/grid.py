"""A grid of hyper-parameters: which of its points are tried, where its middle is, and what lies beyond its edge."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import qmc

Grid = Mapping[str, Sequence[Any]]
"""Values to try per hyper-parameter."""

Point = Mapping[str, Any]

DIGITS = 3
"""Significant digits of a value beyond the edge."""


def draw_points(grid: Grid, trials: int, default: Point | None = None) -> list[dict[str, Any]]:
    """So many different points of a grid, or all that it has: ``default`` first, then by a Halton sequence.

    A prefix of that sequence covers the grid evenly. ``default`` may lie beside the grid; it counts as a trial.
    """
    drawn: list[dict[str, Any]] = [] if default is None else [{name: default[name] for name in grid}]
    seen = [plain(point) for point in drawn]
    for point in _sequence(grid):
        if len(drawn) >= trials:
            break
        if (values := plain(point)) not in seen:
            drawn.append(point)
            seen.append(values)
    return drawn


def plain(value: Any) -> Any:
    """A value, or a grid of them, as JSON has it, which knows no tuples and no enumerations."""
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, Enum):
        return plain(value.value)
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def refined(
    grid: Grid, trials: int, takes: Callable[[str, Any], bool] = lambda name, value: True
) -> dict[str, list[Any]]:
    """The grid, with what lies between its numbers where it has fewer points than trials: all methods get equally many.

    The first hyper-parameter whose values are numbers, in most methods the learning rate, gets the geometric mean of
    the two neighbours that are furthest apart, until there are enough points. A 0 switches something off and is no
    neighbour. Whole numbers stay whole; a grid without room is left as it is, or one whose method does not take
    (``takes``) what lies between.

    >>> refined({"lr": [0.01, 0.1, 1.0]}, 5)
    {'lr': [0.01, 0.1, 1.0, 0.0316, 0.316]}
    """
    found = {name: list(values) for name, values in grid.items()}
    for name, values in found.items():
        while math.prod(map(len, found.values())) < trials:
            between = _between(values)
            if between is None or not takes(name, between):
                break
            values.append(between)
    return found


def _between(values: Sequence[Any]) -> Any | None:
    """A number between the two neighbours that are furthest apart, by their ratio; None where there is no room."""
    if not _from_zero(values):
        return None
    ordered, whole = _positive(values), all(isinstance(each, int) for each in values)
    for low, high in sorted(pairwise(ordered), key=lambda pair: pair[0] / pair[1]):
        mean = math.sqrt(low * high)
        between = round(mean) if whole else float(f"{mean:.{DIGITS}g}")
        if low < between < high:
            return between
    return None


def _sequence(grid: Grid) -> Iterator[dict[str, Any]]:
    """The points by a Halton sequence, long enough to meet every one of a small grid, with repetitions."""
    if not grid:
        yield {}
        return
    size = math.prod(len(values) for values in grid.values())
    places = qmc.Halton(d=len(grid), scramble=False).random(64 * min(size, 256))
    for place in places:
        yield {name: values[int(u * len(values))] for u, (name, values) in zip(place, grid.items(), strict=True)}


def from_middle(point: Point, grid: Grid) -> float:
    """How far a point is from the middle of its grid: 0 in the middle, 1 per hyper-parameter at an edge or beyond.

    Where the values are numbers their order counts, and a value beside the grid lies between its neighbours. Of
    others, such as names, none is in the middle.
    """
    return sum(_off_centre(point[name], values) for name, values in grid.items())


def _off_centre(value: Any, values: Sequence[Any]) -> float:
    if not all(_is_number(each) for each in (value, *values)) or len(values) < 2:
        return 0.0
    ordered = sorted(set(values))
    half = (len(ordered) - 1) / 2
    place = float(np.interp(value, ordered, range(len(ordered))))
    return abs(place - half) / half if half else 0.0


def beyond(value: Any, values: Sequence[Any]) -> Any | None:
    """The value that follows an edge of the grid at the edge's own ratio; None where ``value`` is at no edge.

    Nothing follows 0, and where the grid has it nothing is below the least number beside it.

    >>> beyond(0.1, [0.1, 0.05, 0.01]), beyond(1, [1, 5]), beyond(5, [1, 5]), beyond(0.05, [0.1, 0.05, 0.01])
    (0.2, None, 25, None)
    >>> beyond(0, [0, 1, 5]), beyond(1, [0, 1, 5]), beyond(5, [0, 1, 5])
    (None, None, 25)
    """
    if not _from_zero([value, *values]) or not at_edge({"": value}, {"": values}):
        return None
    ordered = _positive([value, *values])
    if len(ordered) < 2:
        return None
    neighbour = ordered[1] if value == ordered[0] else ordered[-2]
    further = value * value / neighbour
    if all(isinstance(each, int) for each in ordered):
        whole = round(further)
        return whole if whole >= 1 and whole != value else None
    return float(f"{further:.{DIGITS}g}")


def at_edge(point: Point, grid: Grid) -> list[str]:
    """The hyper-parameters, of those with several numbers to try, in which a point has the least or the greatest.

    0 is the least that there is of what is never negative, and no edge.

    >>> at_edge({"lr": 0.1, "mu": 1}, {"lr": [0.01, 0.1], "mu": [0, 1, 2]})
    ['lr']
    """

    def extreme(value: Any, values: Sequence[Any]) -> bool:
        ordered = sorted({value, *values}) if all(_is_number(each) for each in (value, *values)) else []
        return len(ordered) > 1 and value in (ordered[0], ordered[-1]) and not value == ordered[0] == 0

    return [name for name, values in grid.items() if extreme(point[name], values)]


def widened(grid: Grid, point: Point) -> dict[str, list[Any]]:
    """The grid with what lies beyond it in every hyper-parameter in which the point is at its edge."""
    further = {name: beyond(point[name], values) for name, values in grid.items()}
    return {name: [*values, *([further[name]] if further[name] is not None else [])] for name, values in grid.items()}


def _from_zero(values: Sequence[Any]) -> bool:
    return all(_is_number(each) and each >= 0 for each in values)


def _positive(values: Sequence[Any]) -> list[Any]:
    return sorted({each for each in values if each > 0})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
