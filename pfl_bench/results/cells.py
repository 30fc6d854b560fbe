"""Cells of tables to read: text to show, and a number to sort by."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from pfl_bench.metrics import Better


@dataclass(frozen=True)
class Heading:
    """A column's title; ``note`` explains it where the title is too short for that. ``better`` is where sorting starts;
    ``minor``: a page shows it on demand."""

    title: str
    numeric: bool = True
    note: str = ""
    unit: str = ""
    better: Better = "none"
    minor: bool = False


@dataclass(frozen=True)
class Cell:
    """What is shown, and what it is sorted by (text if None). ``marks``: ``best``, ``second``, ``tie``."""

    text: str
    value: float | None = None
    marks: tuple[str, ...] = ()


def missing(value: Any) -> bool:
    """Whether a cell has nothing to say."""
    return value is None or bool(pd.isna(value))


def real(value: Any) -> float | None:
    """A number to sort by, or None."""
    return None if missing(value) else float(value)


def words(value: Any) -> Cell:
    """A text; an empty cell for none."""
    return Cell("" if missing(value) else str(value))


def number(value: Any, digits: int, scale: float = 1.0) -> Cell:
    """``value / scale`` with so many digits; an empty cell for none."""
    found = real(value)
    return Cell("") if found is None else Cell(f"{found / scale:.{digits}f}", found)


def interval(low: float, high: float, digits: str = ".2f") -> Cell:
    """``97.42 to 98.98``, sorted by the lower end; an empty cell for none."""
    return Cell("") if missing(low) else Cell(f"{low:{digits}} to {high:{digits}}", float(low))
