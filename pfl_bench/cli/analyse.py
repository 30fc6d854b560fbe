"""The commands ``analyse``: what they say."""

from pathlib import Path

from pfl_bench.results.analyses import analyse

from .terminal import make_console, say


def analyse_folder(name: str, folder: Path) -> int:
    """Write an analysis into a suite's folder, and say where it is."""
    console = make_console()
    for path in analyse(name, folder):
        say(console, f"Written: {path}")
    return 0
