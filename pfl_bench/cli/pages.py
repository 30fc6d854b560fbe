"""The command ``pages``."""

from pathlib import Path

from pfl_bench.testing import method_pages, suite_reference


def write_pages(folder: Path, reference: Path | None) -> int:
    """Write the methods' pages, and the one of a suite's fields where it is asked for."""
    method_pages.write_pages(folder)
    if reference is not None:
        suite_reference.write_reference(reference)
    return 0
