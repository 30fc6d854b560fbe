"""The commands ``analyse``: what they say."""

from pathlib import Path
from typing import Any

from pfl_bench.results.analyses import analyse

from .terminal import make_console, say


def analyse_folder(name: str, folder: Path, **asked: Any) -> int:
    """Write an analysis of a suite's folder, and say where it is."""
    console = make_console()
    for path in analyse(name, folder, **asked):
        say(console, f"Written: {path}")
    return 0
