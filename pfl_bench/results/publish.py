"""A suite's tables as files, each written beside its place and renamed."""

from pathlib import Path

import pandas as pd

from . import PAGE
from .frame import Problem, scan_runs
from .leaderboard import leaderboard, with_test_error
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
    written = []
    for name, text in texts.items():
        beside = folder / f".{name}.new"
        try:
            beside.write_text(text, encoding="utf-8")
            written.append(beside.replace(folder / name))
        finally:
            beside.unlink(missing_ok=True)
    return written


def write_leaderboard(
    folder: Path, formats: tuple[str, ...] = ("csv",)
) -> tuple[pd.DataFrame, list[Path], list[Problem]]:
    """Aggregate a ledger and write its tables into its folder: the leaderboard, the files, and what was left out."""
    runs, problems = scan_runs(folder)
    table = leaderboard(runs)
    return table, write_tables(folder, runs, table, formats), problems
