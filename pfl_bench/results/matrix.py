"""Methods x scenarios: the one table that a suite is about, on the page, in LaTeX and as a picture.

Every scenario has one column, in the edition that counts for it (``statistics.common``); other editions have columns of
their own, which count in nothing. What is missing says why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .cells import missing, number
from .display import marks
from .overall import Overall
from .primary import heading
from .record import TROUBLES
from .statistics.common import FULL, split_edition
from .statistics.ranks import rank, scenario_means

SHADES = 5


@dataclass(frozen=True)
class Column:
    """A scenario in one edition. ``title``: its id without the edition; ``metric``: what ranks there; ``counts``:
    whether this edition is the scenario's one in aggregates."""

    scenario: str
    title: str
    edition: str
    metric: str
    counts: bool


@dataclass(frozen=True)
class Entry:
    """A cell: mean and standard deviation over ``seeds`` runs, percent; None where there is none, and ``why`` says why.

    ``of``: how many have a rank. ``marks``: as ``display.marks``.
    """

    mean: float | None = None
    std: float | None = None
    seeds: int = 0
    rank: int | None = None
    of: int = 0
    marks: tuple[str, ...] = ()
    why: str = ""

    @property
    def shade(self) -> int | None:
        """0 for the best fifth of the ranks, 4 for the last; None without a rank or with nobody else."""
        if self.rank is None or self.of < 2:
            return None
        return min(SHADES - 1, SHADES * (self.rank - 1) // (self.of - 1))

    @property
    def shade_mark(self) -> tuple[str, ...]:
        """The shade as a mark: ``shade0``."""
        return () if self.shade is None else (f"shade{self.shade}",)


@dataclass(frozen=True)
class Matrix:
    """``rows``: the entries, best mean rank first, then who is not in ``mean_ranks``; these are over the ``count``
    scenarios that their entries have in common."""

    columns: Sequence[Column]
    rows: Sequence[str]
    cells: Mapping[tuple[str, str], Entry]
    mean_ranks: Mapping[str, float]
    count: int

    @property
    def counting(self) -> list[Column]:
        """The columns of the scenarios, one each."""
        return [column for column in self.columns if column.counts]

    @property
    def edition(self) -> str:
        """The edition that all counting columns have in common, or ""."""
        editions = {column.edition for column in self.counting}
        return next(iter(editions)) if len(editions) == 1 and editions != {FULL} else ""

    @property
    def missing(self) -> dict[str, list[str]]:
        """Why cells of counting columns are empty, and which: ``entry in scenario``; alike reasons together."""
        found: dict[str, list[str]] = {}
        for column in self.counting:
            for entry in self.rows:
                cell = self.cells[entry, column.scenario]
                if cell.mean is None:
                    found.setdefault(cell.why, []).append(f"{entry} in {column.title}")
        return found

    def wins(self, entry: str) -> int:
        """In how many counting columns an entry is first, alone or with others."""
        return sum(self.cells[entry, column.scenario].rank == 1 for column in self.counting)


def matrix(board: pd.DataFrame, over_all: Overall) -> Matrix:
    """From a leaderboard with ``entry`` (``leaderboard.named``)."""
    cells, scenarios = {}, list(dict.fromkeys(board["scenario"]))
    chosen = _chosen(scenarios, over_all)
    columns = []
    for scenario, part in board.groupby("scenario", sort=False):
        title, edition = split_edition(str(scenario))
        columns.append(Column(str(scenario), title, edition, heading(part), str(scenario) in chosen))
        of = int(part["rank"].notna().sum())
        for row, own in zip(part.to_dict("records"), marks(part), strict=True):
            cells[str(row["entry"]), str(scenario)] = _cell(row, of, tuple(sorted(own)))
    columns.sort(key=lambda column: not column.counts)
    entries = list(dict.fromkeys(map(str, board["entry"])))
    elsewhere = {entry: [c for c in columns if (entry, c.scenario) in cells] for entry in entries}
    for entry in entries:
        for column in columns:
            if (entry, column.scenario) not in cells:
                cells[entry, column.scenario] = Entry(why=_absent(column, elsewhere[entry]))
    ranks = rank(scenario_means(over_all.shared.runs), "scenarios")
    counting = [column.scenario for column in columns if column.counts]

    def place(entry: str) -> tuple[float, float, str]:
        own = [cells[entry, scenario] for scenario in counting]
        shares = [cell.rank / cell.of for cell in own if cell.rank is not None]
        return ranks.mean_ranks.get(entry, np.inf), float(np.mean(shares)) if shares else np.inf, entry

    return Matrix(columns, sorted(entries, key=place), cells, ranks.mean_ranks, ranks.count)


def _chosen(scenarios: Sequence[str], over_all: Overall) -> set[str]:
    """Of each base its edition that counts; of what aggregates left out altogether, the first."""
    editions = dict(over_all.shared.editions)
    found = {}
    for scenario in scenarios:
        base, edition = split_edition(scenario)
        if base not in found or editions.get(base) == edition:
            found[base] = scenario
    return set(found.values())


def _cell(row: Mapping[object, object], of: int, own: tuple[str, ...]) -> Entry:
    troubles = [f"{row[status]} {status}" for status in TROUBLES if row[status]]
    if missing(row["accuracy_mean"]):
        reason = f": {row['reason']}" if row["reason"] else ""
        return Entry(why=(", ".join(troubles) or "undefined") + reason)
    std = None if missing(row["accuracy_std"]) else float(str(row["accuracy_std"]))
    place = None if missing(row["rank"]) else int(str(row["rank"]))
    return Entry(
        float(str(row["accuracy_mean"])), std, int(str(row["seeds"])), place, of, own,
        f"and {', '.join(troubles)}" if troubles else "",
    )  # fmt: skip


def _absent(column: Column, there: Sequence[Column]) -> str:
    others = [other.edition for other in there if other.title == column.title]
    return f"run in another edition only: {', '.join(others)}" if others else "no run of it in this scenario"


def cell_text(cell: Entry, spread: bool = True) -> str:
    """``88.58 ± 0.29``, or a dash."""
    if cell.mean is None:
        return "-"
    return number(cell.mean, 2).text + (f" ± {cell.std:.2f}" if spread and cell.std is not None else "")
