"""A suite's tables as files, each written beside its place and renamed."""

from pathlib import Path

import pandas as pd

from pfl_bench.errors import RequestError

from . import PAGE
from .files import write_text
from .frame import scan_runs
from .leaderboard import leaderboard, with_test_error
from .notes import Problem, left_out
from .overall import overall, several_scenarios, to_markdown
from .render import FORMATS, to_csv
from .run_tables import read_clients


def table_text(name: str, folder: Path, runs: pd.DataFrame, table: pd.DataFrame) -> str:
    """The leaderboard of a folder in one of ``FORMATS``. What is made to be read has the error of the test samples, and
    Markdown what may be said over all scenarios."""
    if name == "csv":
        return to_csv(table)
    text = FORMATS[name](with_test_error(table, read_clients(folder, runs)[0]))
    return text + "\n" + to_markdown(overall(runs)) if name == "md" and several_scenarios(table) else text


def write_tables(folder: Path, runs: pd.DataFrame, table: pd.DataFrame, formats: tuple[str, ...]) -> list[Path]:
    """Write ``leaderboard.<format>`` and ``runs.csv``. An OSError (a full disk) leaves no half file."""
    texts = {f"leaderboard.{name}": table_text(name, folder, runs, table) for name in formats if name != PAGE} | {
        "runs.csv": to_csv(runs)
    }
    if PAGE in formats:
        from pfl_bench.results.report.collect import collect
        from pfl_bench.results.report.page import render

        texts[f"leaderboard.{PAGE}"] = render(collect(folder))
    return [write_text(folder / name, text) for name, text in texts.items()]


def readable_runs(folder: Path) -> tuple[pd.DataFrame, list[Problem]]:
    """The runs of a folder, and what was left out; RequestError if there is none: the tables of the last time stay."""
    runs, problems = scan_runs(folder)
    if runs.empty:
        said = "; ".join(left_out(problems)) or "it is empty"
        raise RequestError(f"there is no readable run in {folder / 'runs'}; nothing was written. {said}")
    return runs, problems


def write_leaderboard(
    folder: Path, formats: tuple[str, ...] = ("csv",)
) -> tuple[pd.DataFrame, list[Path], list[Problem]]:
    """Aggregate a ledger and write its tables into its folder: the leaderboard, the files, and what was left out.

    RequestError, and nothing is written, if there is no readable run.
    """
    runs, problems = readable_runs(folder)
    table = leaderboard(runs)
    return table, write_tables(folder, runs, table, formats), problems
