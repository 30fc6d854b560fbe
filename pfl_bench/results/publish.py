"""A suite's tables as files, each written beside its place and renamed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pfl_bench.errors import RequestError

from . import EVERY_FORMAT, PAGE, PICTURES
from .escapes import for_markdown
from .files import write_bytes, write_text
from .frame import scan_runs
from .imports import read_imported, with_imported
from .latex import matrix_to_latex
from .leaderboard import leaderboard, named, with_test_error
from .matrix import matrix
from .notes import Problem, left_out, of_scenarios
from .overall import Overall, overall, several_scenarios, to_markdown
from .render import FORMATS, to_csv
from .run_tables import read_clients

if TYPE_CHECKING:
    from .report.collect import Results

FIGURES = "figures"
"""The folder of pictures in a suite's."""


@dataclass(frozen=True)
class Tables:
    """The tables of a results folder, which are written together: what several need is read and computed once."""

    folder: Path
    runs: pd.DataFrame
    table: pd.DataFrame
    problems: Sequence[Problem] = ()

    @cached_property
    def results(self) -> "Results":
        """What the page is made of."""
        from .report.collect import collect

        return collect(self.folder, (self.runs, self.problems))

    @cached_property
    def clients(self) -> pd.DataFrame:
        """The clients' scores."""
        known = "results" in self.__dict__
        return self.results.clients if known else read_clients(self.folder, self.runs)[0]

    @cached_property
    def over_all(self) -> Overall:
        """What may be said over all scenarios."""
        return overall(self.runs)

    def text(self, name: str) -> str:
        """The leaderboard in one of ``FORMATS``, or its page.

        What is made to be read has the error of the test samples; LaTeX begins with methods x scenarios, and Markdown
        ends with what may be said over all scenarios and what was left out.
        """
        if name == "csv":
            return to_csv(self.table)
        if name == PAGE:
            from .report.page import render

            return render(self.results, self.table, self.over_all)
        text = FORMATS[name](with_test_error(self.table, self.clients))
        several = several_scenarios(self.table)
        if name == "tex":
            return self._matrix() + text if several else text
        text += "\n" + to_markdown(self.over_all) if several else ""
        notes = [*of_scenarios(self.table), *left_out(self.problems)]
        return text + "".join(f"\n{for_markdown(note)}\n" for note in notes)

    def _matrix(self) -> str:
        return matrix_to_latex(matrix(named(self.table, self.runs), self.over_all)) + "\n"


def stale(folder: Path) -> list[str]:
    """The formats besides CSV in which a folder has a leaderboard already."""
    return [name for name in EVERY_FORMAT if name != "csv" and (folder / f"leaderboard.{name}").is_file()]


def write_tables(
    folder: Path, runs: pd.DataFrame, table: pd.DataFrame, formats: tuple[str, ...], problems: Sequence[Problem] = ()
) -> list[Path]:
    """Write ``leaderboard.<format>`` and ``runs.csv``, and of ``PICTURES`` the report's figures below ``figures``. An
    OSError (a full disk) leaves no half file."""
    source = Tables(folder, runs, table, problems)
    pictures = [name for name in formats if name in PICTURES]
    if pictures and (folder / FIGURES).is_symlink():
        raise RequestError(f"{folder / FIGURES} is a link; figures are only written into the results folder itself")
    first = sorted(set(formats) - set(pictures), key=lambda name: name != PAGE)  # it reads what others need too
    made = {name: source.text(name) for name in first}
    texts = {f"leaderboard.{name}": made[name] for name in formats if name in made} | {"runs.csv": to_csv(runs)}
    files: dict[str, bytes] = {}
    if pictures:
        from .report.drawing import pictures_of

        files = pictures_of(source.results, table, pictures)
    written = [write_text(folder / name, text) for name, text in texts.items()]
    return [*written, *_write_figures(folder / FIGURES, files)]


def _write_figures(place: Path, files: Mapping[str, bytes]) -> list[Path]:
    if not files:
        return []
    place.mkdir(exist_ok=True)
    return [write_bytes(place / name, content) for name, content in files.items()]


@dataclass(frozen=True)
class Published:
    """The runs of a folder, their leaderboard, the files that were written, and what was left out."""

    runs: pd.DataFrame
    table: pd.DataFrame
    files: list[Path]
    problems: list[Problem]


def publish(folder: Path, formats: tuple[str, ...] = ("csv",)) -> Published:
    """Aggregate a ledger and write its tables into its folder.

    RequestError, and nothing is written, if there is no readable run: the tables of the last time stay.
    """
    runs, problems = scan_runs(folder)
    if runs.empty:
        said = "; ".join(left_out(problems)) or "it is empty"
        raise RequestError(f"--suite: there is no readable run in {folder / 'runs'}; nothing was written. {said}")
    figures, more = read_imported(folder)
    problems += more
    table = with_imported(leaderboard(runs), figures)
    return Published(runs, table, write_tables(folder, runs, table, formats, problems), problems)
