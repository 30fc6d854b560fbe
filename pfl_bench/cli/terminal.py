"""Tables for the terminal."""

from collections.abc import Collection, Sequence

import pandas as pd
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pfl_bench.results.comparable import plain
from pfl_bench.results.display import Shown, text_columns, texts, titles


def make_console() -> Console:
    """A console as wide as the terminal; into a file or a pipe, wide enough for every column."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def print_rows(
    console: Console, title: str, headers: Sequence[str], rows: Sequence[Sequence[str]], numeric: Collection[str] = ()
) -> None:
    """One table, ``numeric`` columns to the right; where it does not fit, cells wrap rather than disappear."""
    table = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD)
    for header in headers:
        table.add_column(header, justify="right" if header in numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def print_leaderboard(console: Console, table: pd.DataFrame, scenarios: Collection[str]) -> None:
    """The leaderboard of these scenarios, with what had to be told apart from them.

    Accuracy in percent on test data, mean ± std over seeds.
    """
    wanted = {plain(scenario) for scenario in scenarios}
    for title, part in titles(table[[plain(scenario) in wanted for scenario in table["scenario"]]]).items():
        shown = _fitting(part, text_columns(part), console.width)
        numeric = [column.title for column in shown if column.numeric]
        print_rows(console, title, [column.title for column in shown], texts(part, shown), numeric)
        for reason in dict.fromkeys(part["reason"]):
            if reason:
                console.print(f"  {reason}", markup=False, soft_wrap=True)


def _fitting(part: pd.DataFrame, every: Sequence[Shown], width: int) -> list[Shown]:
    """The columns without as many as it takes to fit, those with the lowest ``keep`` first; the CSV has them all."""
    kept = list(every)
    widths = {
        column: 2 + max(map(len, [column.title, *cells]))
        for column, cells in zip(every, zip(*texts(part, every), strict=True), strict=True)
    }
    expendable = sorted((column.keep, place) for place, column in enumerate(every) if column.keep is not None)
    for _, place in expendable:
        if 2 + sum(widths[column] for column in kept) > width:
            kept.remove(every[place])
    return kept
