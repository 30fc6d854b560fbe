"""Somebody else's figures beside ours: kept in a suite's folder, shown in its tables, and nothing else.

They are of other splits, budgets and ways to choose than ours. So no rank, mean, interval or test sees them: they are
attached to a leaderboard after it was made, as text, in columns that are there only where there are such figures.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

from pfl_bench.errors import RequestError
from pfl_bench.results.comparable import plain
from pfl_bench.results.files import Unreadable, read_json, write_text
from pfl_bench.results.notes import IMPORTED, IMPORTED_ALONE, Problem
from pfl_bench.text import counted, printable

FILE = "imported.json"
LONGEST = 200


@dataclass(frozen=True)
class Figure:
    """One imported figure: accuracy in percent, mean and standard deviation over ``runs`` runs (std None for one, or
    where the source gives none; runs 0 where it does not say how many). ``source``: from where; ``what``: of which
    evaluation; ``files``: SHA-256 by name.
    """

    scenario: str
    method: str
    mean: float
    std: float | None
    runs: int
    source: str
    what: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """``91.20 ± 0.30 (PFLlib, best of 201 evaluations on test data, 3 runs)``."""
        spread = "" if self.std is None else f" ± {self.std:.2f}"
        runs = counted(self.runs, "run") if self.runs else ""
        return f"{self.mean:.2f}{spread} ({', '.join(part for part in (self.source, self.what, runs) if part)})"


def read_imported(folder: Path) -> tuple[tuple[Figure, ...], list[Problem]]:
    """What was imported into a suite's folder; none, and why, if the file is not what ``keep_imported`` writes."""
    path = folder / FILE
    if not path.exists() and not path.is_symlink():
        return (), []
    try:
        return tuple(_figure(row) for row in read_json(path)["figures"]), []
    except (Unreadable, KeyError, TypeError, ValueError, AttributeError) as error:
        why = str(error) if isinstance(error, Unreadable) else "it has not the form that 'results import' writes"
        return (), [Problem(FILE, f"{printable(why)}; remove it and import anew")]


def _figure(row: Any) -> Figure:
    known = {each.name for each in fields(Figure)}
    found = Figure(**{key: value for key, value in row.items() if key in known})
    texts = (found.scenario, found.method, found.source, found.what)
    if not all(isinstance(text, str) and len(text) <= LONGEST for text in texts):
        raise ValueError("a text is none, or too long")
    numbers = (found.mean, *([] if found.std is None else [found.std]), found.runs)
    if any(isinstance(n, bool) or not math.isfinite(n) for n in numbers) or not 0 <= found.mean <= 100:
        raise ValueError("a number is none")
    return found


def keep_imported(folder: Path, figures: Sequence[Figure]) -> int:
    """Write figures into a suite's folder beside those that are there; how many took the place of an older one, of the
    same scenario, method and source. RequestError where what is there is damaged."""
    there, problems = read_imported(folder)
    for problem in problems:
        raise RequestError(f"{folder / problem.where}: {problem.why}")
    before = {(f.scenario, f.method, f.source): f for f in there}
    new = {(f.scenario, f.method, f.source): f for f in figures}
    rows = [asdict(figure) for figure in (before | new).values()]
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / FILE, json.dumps({"figures": rows}, indent=1, ensure_ascii=False) + "\n")
    return len(before.keys() & new.keys())


def with_imported(table: pd.DataFrame, figures: Sequence[Figure]) -> pd.DataFrame:
    """A leaderboard with the columns ``IMPORTED`` and ``IMPORTED_ALONE``, or itself if no figure is of its scenarios.

    A figure stands beside every row of its scenario and method. Where no row has that method, every row of the scenario
    says so.
    """
    methods = _methods(table)
    fitting = [figure for figure in figures if figure.scenario in methods]
    if not fitting:
        return table
    beside = [_joined(str(f) for f in fitting if (f.scenario, f.method) == (plain(s), m)) for s, m in _rows(table)]
    alone = [
        _joined(f"{f.method} {f}" for f in fitting if f.scenario == plain(s) and f.method not in methods[plain(s)])
        for s, _ in _rows(table)
    ]
    found = table.copy()
    found[IMPORTED], found[IMPORTED_ALONE] = (pd.Series(own, table.index, dtype=object) for own in (beside, alone))
    return found


def _rows(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(table["scenario"], table["method"], strict=True))


def _methods(table: pd.DataFrame) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for scenario, method in _rows(table):
        found.setdefault(plain(scenario), set()).add(method)
    return found


def _joined(texts: Any) -> str | None:
    return printable("; ".join(texts)) or None
