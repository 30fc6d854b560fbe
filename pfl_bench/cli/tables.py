"""Tables for the terminal."""

from collections.abc import Collection, Sequence

import pandas as pd
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pfl_bench.results.render import display_rows, headers, titles

NUMERIC = {"rank", "worst decile", "last", "MB down", "MB up", "seconds"}
EXPENDABLE = ("MB up", "moment", "worst decile", "95 % interval", "last", "seconds", "MB down")
"""Columns of the leaderboard that a narrow terminal goes without, the first one first; the CSV has them all."""


def make_console() -> Console:
    """A console as wide as the terminal; into a file or a pipe, wide enough for every column."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def print_rows(console: Console, title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """One table; where it does not fit the terminal, cells wrap rather than disappear."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for header in headers:
        table.add_column(header, justify="right" if header in NUMERIC else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def print_leaderboard(console: Console, table: pd.DataFrame, scenarios: Collection[str]) -> None:
    """The leaderboard of these scenarios. Accuracy in percent on test data, mean ± std over seeds."""
    for title, part in titles(table[table["scenario"].isin(list(scenarios))]).items():
        print_rows(console, title, *_fitting(headers(part), display_rows(part), console.width))
        for reason in dict.fromkeys(part["reason"]):
            if reason:
                console.print(f"  {reason}", markup=False, soft_wrap=True)


def _fitting(every: Sequence[str], rows: list[list[str]], width: int) -> tuple[list[str], list[list[str]]]:
    """Headers and rows without as many expendable columns as it takes to fit."""
    kept = list(every)

    def needed() -> int:
        columns = [[header, *(row[every.index(header)] for row in rows)] for header in kept]
        return 2 + sum(max(map(len, column)) + 2 for column in columns)

    for header in EXPENDABLE:
        if needed() > width:
            kept.remove(header)
    return kept, [[row[every.index(header)] for header in kept] for row in rows]
