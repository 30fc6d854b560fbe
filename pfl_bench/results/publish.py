"""A suite's tables as files, each written beside its place and renamed."""

from pathlib import Path

import pandas as pd

from pfl_bench.errors import RequestError

from . import PAGE
from .files import write_text
from .frame import scan_runs
from .leaderboard import leaderboard
from .notes import Problem, left_out
from .render import FORMATS, to_csv


def write_tables(folder: Path, runs: pd.DataFrame, table: pd.DataFrame, formats: tuple[str, ...]) -> list[Path]:
    """Write ``leaderboard.<format>`` and ``runs.csv``. An OSError (a full disk) leaves no half file."""
    texts = {f"leaderboard.{name}": FORMATS[name](table) for name in formats if name != PAGE} | {
        "runs.csv": to_csv(runs)
    }
    if PAGE in formats:
        from pfl_bench.results.report.collect import collect
        from pfl_bench.results.report.page import render

        texts[f"leaderboard.{PAGE}"] = render(collect(folder))
    return [write_text(folder / name, text) for name, text in texts.items()]


def write_leaderboard(
    folder: Path, formats: tuple[str, ...] = ("csv",)
) -> tuple[pd.DataFrame, list[Path], list[Problem]]:
    """Aggregate a ledger and write its tables into its folder: the leaderboard, the files, and what was left out.

    RequestError, and nothing is written, if there is no readable run: the tables of the last time stay.
    """
    runs, problems = scan_runs(folder)
    if runs.empty:
        said = "; ".join(left_out(problems)) or "it is empty"
        raise RequestError(f"--suite: there is no readable run in {folder / 'runs'}; nothing was written. {said}")
    table = leaderboard(runs)
    return table, write_tables(folder, runs, table, formats), problems
