"""The command ``pages``."""

from pathlib import Path

from pfl_bench.testing import method_pages


def write_pages(folder: Path) -> int:
    """Write the methods' pages."""
    method_pages.write_pages(folder)
    return 0
