"""The paper's claims about orders, one row each: ``pfl-bench analyse claims results/paper-table1``.

Writes ``claims.csv``, and ``columns-<edition>.md``: methods in rows and scenarios in columns, as the paper prints it.
An edition is what a scenario's id says after its version: the share of the budget and the precision.
"""

import fnmatch
import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from pfl_bench.metrics import PRIMARY
from pfl_bench.results.display import UNDEFINED
from pfl_bench.results.entries import entries
from pfl_bench.results.files import write_text
from pfl_bench.results.frame import finished_runs
from pfl_bench.results.order import natural_key
from pfl_bench.results.primary import HEADINGS, by_primary, heading
from pfl_bench.results.statistics.common import split_edition

COLUMNS = ["edition", "scenario", "claim", "difference", "spread", "seeds", "verdict"]

Cell = tuple[str, str]  # scenario and method


@dataclass(frozen=True)
class Pair:
    """A claim at one place: the cell that should be higher, the one that should not, and whether a tie will do."""

    text: str
    higher: Cell
    lower: Cell
    or_equal: bool


class Claim(Protocol):
    """Something that a paper says about an order."""

    def pairs(self, cells: Collection[Cell]) -> Iterator[Pair]:
        """What to compare, among the cells that have runs."""


@dataclass(frozen=True)
class Above:
    """``higher`` is above ``lower`` in every scenario that matches."""

    higher: str
    lower: str
    scenarios: str
    or_equal: bool = False

    def pairs(self, cells: Collection[Cell]) -> Iterator[Pair]:
        """One for each scenario with both."""
        text = f"{self.higher} {'>=' if self.or_equal else '>'} {self.lower}"
        for scenario, method in cells:
            if method == self.lower and fnmatch.fnmatchcase(scenario, self.scenarios):
                yield Pair(text, (scenario, self.higher), (scenario, self.lower), self.or_equal)


@dataclass(frozen=True)
class NotAbove:
    """No other method is above ``reference`` by more than the spread, in every scenario that matches."""

    reference: str
    scenarios: str

    def pairs(self, cells: Collection[Cell]) -> Iterator[Pair]:
        """One for each other method."""
        for scenario, method in cells:
            if method != self.reference and fnmatch.fnmatchcase(scenario, self.scenarios):
                yield Pair(f"{self.reference} >= {method}", (scenario, self.reference), (scenario, method), True)


@dataclass(frozen=True)
class Falls:
    """``method`` falls from each of these scenarios to the next that has runs."""

    method: str
    scenarios: tuple[str, ...]

    def pairs(self, cells: Collection[Cell]) -> Iterator[Pair]:
        """One for each step."""
        present = [(scenario, self.method) for scenario in self.scenarios if (scenario, self.method) in cells]
        for before, after in itertools.pairwise(present):
            yield Pair(f"{self.method} falls", before, after, False)


_CIFAR10 = tuple(f"cifar10-classes2-n{n}-v1" for n in (10, 50, 100))
_CIFAR100 = tuple(f"cifar100-classes10-n{n}-v1" for n in (10, 50, 100))
CLAIMS: tuple[Claim, ...] = (
    Above("pfedhn_pc", "pfedhn", "cifar*-classes*", or_equal=True),
    Above("pfedhn", "fedavg", "cifar*-classes*"),
    Falls("local", _CIFAR10),
    Falls("local", _CIFAR100),
    NotAbove("fedavg", "*-iid-*"),
)


def with_editions(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs with ``column`` (the scenario's id up to its version), ``edition`` (the rest) and ``entry``."""
    parts = [split_edition(scenario) for scenario in runs["scenario"]]
    return by_primary(runs).assign(column=[c for c, _ in parts], edition=[e for _, e in parts], entry=entries(runs))


def judge(difference: float, spread: float, or_equal: bool) -> str:
    """``holds``, ``fails``, or ``within the spread`` where the difference says nothing (for ``or_equal``: holds).

    ``spread``: two standard errors of the difference, points; NaN with one seed, where only the sign can count.
    """
    if not np.isnan(spread) and abs(difference) <= spread:
        return "holds, within the spread" if or_equal else "within the spread"
    verdict = "holds" if difference > 0 or (or_equal and difference == 0) else "fails"
    return f"{verdict}, one seed" if np.isnan(spread) else verdict


def check(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per claim, edition and place for which both sides have runs; differences in points, over seeds.

    Where a method takes part in several variants, the one that is best on validation data speaks for it.
    """
    rows = []
    for edition, part in with_editions(runs).groupby("edition", sort=False):
        cells = {
            (str(column), str(method)): _best_variant(own)
            for (column, method), own in part.groupby(["column", "method"], sort=False)
        }
        for pair in (pair for claim in CLAIMS for pair in claim.pairs(cells)):
            if pair.higher in cells and pair.lower in cells:
                compare = _paired if pair.higher[0] == pair.lower[0] else _independent
                difference, spread, seeds = compare(cells[pair.higher], cells[pair.lower])
                where = " to ".join(dict.fromkeys((pair.higher[0], pair.lower[0])))
                undefined = cells[pair.higher].empty or cells[pair.lower].empty
                if seeds or undefined:
                    verdict = "undefined" if undefined else judge(difference, spread, pair.or_equal)
                    rows.append((edition, where, pair.text, difference, spread, seeds, verdict))
    return pd.DataFrame(rows, columns=COLUMNS)


def _best_variant(runs: pd.DataFrame) -> pd.Series:
    """By seed; empty where what ranks is undefined."""
    variants = [part for _, part in runs.groupby("entry")]
    best = max(variants, key=lambda own: float(own["validation_accuracy"].astype(float).fillna(-1).mean()))
    return best.set_index("seed")["accuracy"].dropna().astype(float)


def _paired(left: pd.Series, right: pd.Series) -> tuple[float, float, int]:
    """Mean difference over common seeds, two standard errors, number of seeds."""
    differences = (left - right).dropna()
    n = len(differences)
    spread = 2 * float(differences.std(ddof=1)) / np.sqrt(n) if n > 1 else np.nan
    return float(differences.mean()), spread, n


def _independent(left: pd.Series, right: pd.Series) -> tuple[float, float, int]:
    """As ``_paired``, for two scenarios, which share no split."""
    n = min(len(left), len(right))
    error = np.sqrt(left.var(ddof=1) / len(left) + right.var(ddof=1) / len(right)) if n > 1 else np.nan
    return float(left.mean() - right.mean()), 2 * float(error), n


def columns_table(runs: pd.DataFrame) -> str:
    """Markdown: entries in rows, scenarios in columns, ``mean ± standard deviation (seeds)`` in percent."""
    cells = runs.groupby(["entry", "column"])["accuracy"].agg(["mean", "std", "count"])
    columns, names = sorted(set(runs["column"]), key=natural_key), sorted(set(runs["entry"]))
    ranks = {column: heading(part) for column, part in runs.groupby("column")}
    titles = [column if ranks[column] == HEADINGS[PRIMARY] else f"{column} ({ranks[column]})" for column in columns]
    lines = ["| method | " + " | ".join(titles) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in names:
        row = [_cell(cells.loc[(name, c)]) if (name, c) in cells.index else "-" for c in columns]
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def _cell(figures: pd.Series) -> str:
    if np.isnan(figures["mean"]):
        return UNDEFINED
    spread = "" if np.isnan(figures["std"]) else f" ± {figures['std']:.2f}"
    return f"{figures['mean']:.2f}{spread} ({figures['count']:.0f})"


def files(runs: pd.DataFrame) -> dict[str, str]:
    """The text of ``claims.csv`` and of a table per edition, by file name."""
    claims = check(runs).to_csv(index=False, float_format="%.4g", lineterminator="\n")
    editions = with_editions(runs).groupby("edition", sort=False)
    tables = {f"columns-{str(edition).lstrip('@')}.md": columns_table(part) for edition, part in editions}
    return {"claims.csv": claims, **tables}


def main(folder: Path) -> list[Path]:
    """Write them into the suite's folder; where."""
    return [write_text(folder / name, text) for name, text in files(finished_runs(folder)).items()]
