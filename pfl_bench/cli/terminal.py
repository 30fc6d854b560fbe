"""What reaches the terminal: text of others without anything hidden in it, tables, and what a terminal cannot show.

Everything that is not a constant is printed by ``say`` or ``print_rows``. Light: ``list`` needs nothing else.
"""

import codecs
import os
import sys
from collections.abc import Collection, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pfl_bench.text import printable

PIPE_WIDTH = 140

PLAIN = {"±": "+-", "†": "*", "‡": "#", "\u00d7": "x", "→": "->", "\u2013": "-", "…": "...", "━": "-", "•": "*"}
"""What is shown instead of symbols that an encoding lacks."""


def _plainly(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(c, c.encode("ascii", "backslashreplace").decode()) for c in lacking), error.end


codecs.register_error("pfl-bench-plainly", _plainly)


def speak_plainly() -> None:
    """From now on, what the encoding of a standard stream lacks is shown as something like it, or as its escape."""
    for stream in (sys.stdout, sys.stderr):
        if callable(reconfigure := getattr(stream, "reconfigure", None)):
            reconfigure(errors="pfl-bench-plainly")


class Terminal(Console):
    """A console whose reader may go away: what would be printed then is dropped, and the work goes on."""

    def on_broken_pipe(self) -> None:
        """The pipe was closed (``| head -1``)."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # nothing is left to fail when Python flushes at its end
        os.close(nowhere)


def make_console() -> Console:
    """A console as wide as the terminal; into a file or a pipe, wide enough for every column."""
    speak_plainly()
    console = Terminal()
    return console if console.is_terminal else Terminal(width=PIPE_WIDTH)


def say(console: Console, text: str) -> None:
    """A line of text; names and messages in it are shown as they are, and nothing in them is a command."""
    console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def print_rows(
    console: Console, title: str, headers: Sequence[str], rows: Sequence[Sequence[str]],
    numeric: Collection[str] = (), whole: Collection[str] = (),
) -> None:  # fmt: skip
    """One table, ``numeric`` columns to the right; they and those that are ``whole`` are never broken, the others wrap
    rather than disappear."""
    table = Table(title=escape(printable(title)), title_justify="left", box=box.SIMPLE_HEAD)
    for header in headers:
        figures = header in numeric
        table.add_column(
            header, justify="right" if figures else "left", overflow="fold", no_wrap=figures or header in whole
        )
    for row in rows:
        table.add_row(*(escape(printable(cell)) for cell in row))
    console.print(table)
