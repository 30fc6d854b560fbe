"""What a suite shows beyond its leaderboard: each module reads finished runs and writes tables and pictures."""

import importlib
from pathlib import Path

from pfl_bench.errors import unknown
from pfl_bench.results.places import check_suite_folder

ANALYSES = ("claims", "clusters", "communication", "curves", "embeddings", "novel")


def analyse(name: str, folder: Path) -> list[Path]:
    """Write an analysis of a suite's results folder into it; the files. RequestError where it has no data for it."""
    if name not in ANALYSES:
        raise unknown("analysis", name, ANALYSES)
    check_suite_folder(folder)
    written: list[Path] = importlib.import_module(f"{__name__}.{name}").main(folder)
    return written
