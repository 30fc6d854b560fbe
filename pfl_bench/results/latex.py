"""The leaderboard as LaTeX: tables that fit a column of a two-column paper, with the rules of the package booktabs.

What is too wide for one ``tabular`` is cut into several, each with the methods in front.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from pfl_bench.text import counted, printable

from .display import (
    ACCURACY,
    METHOD,
    SEEDS,
    TIED,
    Shown,
    given_the_data,
    marks,
    place_of,
    text_columns,
    texts,
    titles,
    untested,
)  # fmt: skip
from .escapes import for_latex
from .matrix import Matrix, cell_text
from .notes import of_rows

LEGEND = "Bold: best; underlined: second"
COLUMN = 234.0
"""Points: the narrowest column that is usual (ICML's 3.25 inches)."""
_DIGIT, _NARROW, _WIDE, _GAP = 4.3, 2.5, 7.5, 5.0
"""Characters of ``\\footnotesize``, and what lies between two columns: twice ``\\tabcolsep``."""


@dataclass(frozen=True)
class _Column:
    """A column of LaTeX; ``width`` in points, estimated from the texts before they were escaped. ``key`` explains the
    title below the table."""

    title: str
    numeric: bool
    cells: Sequence[str]
    width: float
    key: str = ""
    wraps: bool = False

    @property
    def letter(self) -> str:
        """Its alignment: a long text is broken into lines."""
        return f"p{{{self.width - _GAP:.0f}pt}}" if self.wraps else "r" if self.numeric else "l"


def to_latex(table: pd.DataFrame) -> str:
    """Tables per scenario of a leaderboard; what the marks mean is a comment above. Columns in which there is nothing
    to say are not in it."""
    lines = []
    for title, part in titles(table).items():
        shown = _ordered(text_columns(part))
        columns = [
            _column(column.title, column.numeric, cells)
            for column, cells in zip(shown, zip(*texts(part, shown), strict=True), strict=True)
        ]
        place = place_of(ACCURACY, shown)
        columns[place] = _with_marks(columns[place], marks(part))
        notes = (title, f"{LEGEND}; {TIED}", given_the_data(part), untested(part), *of_rows(part))
        method, *rest = columns
        lines += [*_comments(notes), *_tables(method, [column for column in rest if set(column.cells) != {"-"}])]
    return "\n".join(lines)


def _ordered(shown: list[Shown]) -> list[Shown]:
    """The method first, and the number of seeds beside what was averaged over them."""
    method, seeds = (shown.pop(place_of(column, shown)) for column in (METHOD, SEEDS))
    shown.insert(place_of(ACCURACY, shown) + 1, seeds)
    return [method, *shown]


def matrix_to_latex(table: Matrix) -> str:
    """Methods x scenarios, means alone; scenarios are numbered, and named below. Editions that do not count are not in
    it."""
    counting, rows = table.counting, table.rows
    method = _column("method", False, rows)
    ranks = [f"{table.mean_ranks[entry]:.2f}" if entry in table.mean_ranks else "-" for entry in rows]
    columns = [_column("rank", True, ranks)]
    for number, column in enumerate(counting, 1):
        cells = [table.cells[entry, column.scenario] for entry in rows]
        found = _column(f"S{number}", True, [cell_text(cell, spread=False) for cell in cells])
        name = column.title if table.edition else column.scenario
        metric = "" if column.metric == ACCURACY.title else f" ({column.metric})"
        found = replace(found, key=f"S{number}: {name}{metric}")
        columns.append(_with_marks(found, [set(cell.marks) for cell in cells]))
    edition = f", all {table.edition}" if table.edition else ""
    notes = (
        f"Methods and scenarios: accuracy in percent on test data, mean over seeds{edition}; rank: mean rank over the "
        f"{counted(table.count, 'scenario')} that {counted(len(table.mean_ranks), 'method')} have in common",
        f"{LEGEND}; {TIED}",
        *(f"-: {why}: {', '.join(which)}" for why, which in table.missing.items()),
    )
    return "\n".join([*_comments(notes), *_tables(method, columns)])


def _column(title: str, numeric: bool, cells: Sequence[str]) -> _Column:
    longest = max(_width(text) for text in (title, *cells))
    return _Column(for_latex(title), numeric, [for_latex(cell) for cell in cells], longest + _GAP)


def _width(text: str) -> float:
    return sum(_NARROW if c in ".,:;'!|() -ijl" else _WIDE if c in "mwMW@%±" else _DIGIT for c in text)


def _with_marks(column: _Column, own: Sequence[set[str]]) -> _Column:
    """The best in bold type, the second underlined, and a dagger; bold digits are wider, daggers stick out."""
    cells = [_marked(cell, each) for cell, each in zip(column.cells, own, strict=True)]
    width = column.width * 1.12 if any("best" in each for each in own) else column.width
    return replace(column, cells=cells, width=width + _DIGIT if any("tie" in each for each in own) else width)


def _marked(cell: str, own: set[str]) -> str:
    cell = rf"\textbf{{{cell}}}" if "best" in own else cell
    cell = rf"\underline{{{cell}}}" if "second" in own else cell
    return cell + (r"$^\dagger$" if "tie" in own else "")


def _comments(notes: Iterable[str]) -> list[str]:
    return [f"% {printable(note)}" for note in notes if note]


def _tables(first: _Column, rest: Sequence[_Column]) -> list[str]:
    """As many tables as it takes, ``first`` in front of each, which has half of the room at most."""
    groups: list[list[_Column]] = [[]]
    first = _within(first, COLUMN / 2)
    room = COLUMN - first.width
    for column in (_within(each, room) for each in rest):
        if groups[-1] and sum(each.width for each in groups[-1]) + column.width > room:
            groups.append([])
        groups[-1].append(column)
    return [line for group in groups for line in _tabular([first, *group])]


def _within(column: _Column, most: float) -> _Column:
    """Broken into lines where it is wider."""
    return replace(column, width=most, wraps=True) if column.width > most else column


def _tabular(columns: Sequence[_Column]) -> list[str]:
    key = for_latex("; ".join(column.key for column in columns if column.key))
    below = rf"\multicolumn{{{len(columns)}}}{{@{{}}p{{\columnwidth}}@{{}}}}{{\scriptsize {key}}} \\"
    return [
        r"{\footnotesize\setlength{\tabcolsep}{2.5pt}%",
        rf"\begin{{tabular}}{{@{{}}{''.join(column.letter for column in columns)}@{{}}}}",
        r"\toprule",
        " & ".join(column.title for column in columns) + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in zip(*(column.cells for column in columns), strict=True)),
        r"\bottomrule",
        *([below] if key else []),
        r"\end{tabular}}",
        "",
    ]
