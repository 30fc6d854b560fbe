"""Tables for the terminal. Light: ``list`` needs nothing else."""

from collections.abc import Collection, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table


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
