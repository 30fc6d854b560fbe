"""A suite's tables as files, each written beside its place and renamed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pfl_bench.errors import RequestError

from . import EVERY_FORMAT, PAGE
from .escapes import for_markdown
from .files import write_text
from .frame import scan_runs
from .imports import read_imported, with_imported
from .leaderboard import leaderboard, with_test_error
from .notes import Problem, left_out, of_scenarios
from .overall import overall, several_scenarios, to_markdown
from .render import FORMATS, to_csv
from .run_tables import read_clients


def table_text(
    name: str, folder: Path, runs: pd.DataFrame, table: pd.DataFrame, problems: Sequence[Problem] = ()
) -> str:
    """The leaderboard of a folder in one of ``FORMATS``. What is made to be read has the error of the test samples, and
    Markdown what may be said over all scenarios and what was left out."""
    if name == "csv":
        return to_csv(table)
    text = FORMATS[name](with_test_error(table, read_clients(folder, runs)[0]))
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
    """Write ``leaderboard.<format>`` and ``runs.csv``. An OSError (a full disk) leaves no half file."""
    texts = {
        f"leaderboard.{name}": table_text(name, folder, runs, table, problems) for name in formats if name != PAGE
    } | {"runs.csv": to_csv(runs)}
    if PAGE in formats:
        from pfl_bench.results.report.collect import collect
        from pfl_bench.results.report.page import render

        texts[f"leaderboard.{PAGE}"] = render(collect(folder))
    return [write_text(folder / name, text) for name, text in texts.items()]


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
