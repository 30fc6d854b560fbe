"""A suite's tables as files, each written beside its place and renamed."""

from pathlib import Path

import pandas as pd

from . import PAGE
from .frame import Problem, scan_runs
from .leaderboard import leaderboard
from .overall import overall, several_scenarios, to_markdown
from .render import FORMATS, to_csv


def table_text(name: str, runs: pd.DataFrame, table: pd.DataFrame) -> str:
    """The leaderboard in one of ``FORMATS``; Markdown also says what may be said over all scenarios."""
    text = FORMATS[name](table)
    return text + "\n" + to_markdown(overall(runs)) if name == "md" and several_scenarios(table) else text


def write_tables(folder: Path, runs: pd.DataFrame, table: pd.DataFrame, formats: tuple[str, ...]) -> list[Path]:
    """Write ``leaderboard.<format>`` and ``runs.csv``. An OSError (a full disk) leaves no half file."""
    texts = {f"leaderboard.{name}": table_text(name, runs, table) for name in formats if name != PAGE} | {
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
