"""A table of a run's folder, by column; what contradicts something is named by its file and line."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pfl_bench.errors import shown

UNDEFINED = ("", "nan")


class Contradiction(ValueError):
    """What cannot be, so that nothing further can be compared. Its text is one line."""


@dataclass(frozen=True)
class Sheet:
    """``at``: where each column is; ``rows``: the cells as they were written."""

    name: str
    at: Mapping[str, int]
    rows: Sequence[Sequence[str]]

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, column: str) -> bool:
        return column in self.at

    def where(self, row: int) -> str:
        """``history.csv, line 7``: the header is line 1."""
        return f"{self.name}, line {row + 2}"

    def texts(self, column: str) -> list[str]:
        """A column as it was written."""
        return [row[self.at[column]] for row in self.rows]

    def figures(self, column: str) -> np.ndarray:
        """A column as float64 ``[rows]``, NaN where nothing is. Contradiction for a cell that is no number."""
        return np.asarray([self._figure(row, column) for row in range(len(self))], dtype=np.float64)

    def counts(self, column: str) -> np.ndarray:
        """A column of whole numbers, int64 ``[rows]``. Contradiction for a cell that is none, or is below zero."""
        found = self.figures(column)
        wrong = np.flatnonzero(~((found >= 0) & (found < 2**53) & (found == np.floor(found))))
        if len(wrong):
            cell = shown(self.rows[wrong[0]][self.at[column]])
            raise Contradiction(f"{self.where(int(wrong[0]))}: {column} is {cell}, which is no count")
        return found.astype(np.int64)

    def _figure(self, row: int, column: str) -> float:
        cell = self.rows[row][self.at[column]]
        if cell in UNDEFINED:
            return np.nan
        try:
            found = float(cell)
        except ValueError:
            found = np.inf
        if not np.isfinite(found):
            raise Contradiction(f"{self.where(row)}: {column} is {shown(cell)}, which is no number")
        return found

    @cached_property
    def evaluations(self) -> dict[tuple[str, str], np.ndarray]:
        """The rows of each moment and split, in their order."""
        return _positions(zip(self.texts("moment"), self.texts("split"), strict=True))

    @cached_property
    def selections(self) -> dict[tuple[str, str], np.ndarray]:
        """The rows of each moment and selection, in their order."""
        return _positions(zip(self.texts("moment"), self.texts("selection"), strict=True))


def _positions(keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], np.ndarray]:
    found: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(keys):
        found.setdefault(key, []).append(row)
    return {key: np.asarray(rows) for key, rows in found.items()}


def differ(figures: np.ndarray, others: np.ndarray | float, tolerance: float = 1e-6) -> np.ndarray:
    """Where two columns are not one, to a millionth of a point and a billionth of their size; NaN equals NaN. bool"""
    return ~np.isclose(figures, others, rtol=1e-9, atol=tolerance, equal_nan=True)


def hits(mask: np.ndarray) -> list[int]:
    """Where a mask is true."""
    return [int(row) for row in np.flatnonzero(mask)]


def written(figure: float) -> str:
    """A figure for a message."""
    return f"{figure:.10g}"
