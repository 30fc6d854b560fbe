"""What a suite shows beyond its leaderboard: each module reads finished runs and writes tables and pictures."""

import importlib
from pathlib import Path
from typing import Any

from pfl_bench.errors import unknown
from pfl_bench.results.places import check_suite_folder

ANALYSES = ("board", "claims", "clusters", "communication", "curves", "embeddings", "novel", "transfer")
OF_TRIALS = ("transfer",)
"""These read a table of trials, which may be published without its runs."""


def analyse(name: str, folder: Path, **asked: Any) -> list[Path]:
    """Write an analysis of a suite's results folder into it; the files. RequestError where it has no data for it.

    ``asked``: what the analysis takes besides, such as ``out`` of ``board``.
    """
    if name not in ANALYSES:
        raise unknown("analysis", name, ANALYSES)
    if name not in OF_TRIALS:
        check_suite_folder(folder)
    written: list[Path] = importlib.import_module(f"{__name__}.{name}").main(folder, **asked)
    return written
