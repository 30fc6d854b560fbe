"""A suite's tables as files, each written beside its place and renamed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pfl_bench.errors import RequestError

from . import EVERY_FORMAT, PAGE, PICTURES
from .escapes import for_markdown
from .files import write_bytes, write_text
from .frame import scan_runs
from .latex import matrix_to_latex
from .leaderboard import leaderboard, named, with_test_error
from .matrix import matrix
from .notes import Problem, left_out, of_scenarios
from .overall import overall, several_scenarios, to_markdown
from .render import FORMATS, to_csv
from .run_tables import read_clients

FIGURES = "figures"


def table_text(
    name: str, folder: Path, runs: pd.DataFrame, table: pd.DataFrame, problems: Sequence[Problem] = ()
) -> str:
    """The leaderboard of a folder in one of ``FORMATS``. What is made to be read has the error of the test samples;
    LaTeX begins with methods x scenarios, and Markdown ends with what may be said over all scenarios and what was left
    out."""
    if name == "csv":
        return to_csv(table)
    text = FORMATS[name](with_test_error(table, read_clients(folder, runs)[0]))
    if name == "tex":
        front = matrix_to_latex(matrix(named(table, runs), overall(runs))) if several_scenarios(table) else ""
        return f"{front}\n{text}" if front else text
    if name != "md":
        return text
    notes = [*of_scenarios(table), *left_out(problems)]
    text += "\n" + to_markdown(overall(runs)) if several_scenarios(table) else ""
    return text + "".join(f"\n{for_markdown(note)}\n" for note in notes)


def stale(folder: Path) -> list[str]:
    """The formats besides CSV in which a folder has a leaderboard already."""
    return [name for name in EVERY_FORMAT if name != "csv" and (folder / f"leaderboard.{name}").is_file()]


def write_tables(
    folder: Path, runs: pd.DataFrame, table: pd.DataFrame, formats: tuple[str, ...], problems: Sequence[Problem] = ()
) -> list[Path]:
    """Write ``leaderboard.<format>`` and ``runs.csv``, and of ``PICTURES`` the report's figures below ``figures``. An
    OSError (a full disk) leaves no half file."""
    pictures = [name for name in formats if name in PICTURES]
    tables = [name for name in formats if name not in (PAGE, *PICTURES)]
    texts = {f"leaderboard.{name}": table_text(name, folder, runs, table, problems) for name in tables}
    texts["runs.csv"] = to_csv(runs)
    files: dict[str, bytes] = {}
    if PAGE in formats or pictures:
        from pfl_bench.results.report.collect import collect
        from pfl_bench.results.report.drawing import pictures_of
        from pfl_bench.results.report.page import render

        results = collect(folder, (runs, problems))
        if PAGE in formats:
            texts[f"leaderboard.{PAGE}"] = render(results, table)
        files = pictures_of(results, table, pictures)
    written = [write_text(folder / name, text) for name, text in texts.items()]
    return [*written, *_write_figures(folder / FIGURES, files)]


def _write_figures(place: Path, files: Mapping[str, bytes]) -> list[Path]:
    if not files:
        return []
    if place.is_symlink():
        raise RequestError(f"{place} is a link; figures are only written into the results folder itself")
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
    table = leaderboard(runs)
    return Published(runs, table, write_tables(folder, runs, table, formats, problems), problems)
