"""What the analyses' programs share: a picture drawn into a file, and errors as one line."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from pfl_bench.commands import folder_program
from pfl_bench.errors import RequestError
from pfl_bench.results.files import write_bytes, write_text


def write_frame(target: Path, frame: pd.DataFrame) -> None:
    """A table as CSV; numbers to six significant digits."""
    write_text(target, frame.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


@contextmanager
def picture(target: Path, width: float, height: float, columns: int = 1) -> Iterator[tuple[Any, Any]]:
    """A Matplotlib figure and its axes, saved as ``target`` in the end. Inches."""
    try:
        import matplotlib
    except ImportError as error:
        raise RequestError("pictures need Matplotlib: pip install 'pfl-bench[plot]'") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, columns, figsize=(width, height), layout="constrained")
    try:
        yield figure, axes
        drawn = io.BytesIO()
        figure.savefig(drawn, format=target.suffix[1:], dpi=120)
        write_bytes(target, drawn.getvalue())
    finally:
        plt.close(figure)


def budget_title(runs: pd.DataFrame) -> str:
    """What every picture says about the budget and the seeds."""
    first = runs.iloc[0]
    scale = "" if first["budget_scale"] == 1 else f", {first['budget_scale']:g} x the full budget"
    return f"{first['scenario']}: {first['visits']} visits{scale}, {counted_seeds(runs)}"


def counted_seeds(rows: pd.DataFrame) -> str:
    """``1 seed``, ``3 seeds``."""
    seeds = rows["seed"].nunique()
    return f"{seeds} seed{'' if seeds == 1 else 's'}"


def program(module: str, summary: str | None, analyse: Callable[[Path], None], arguments: Sequence[str]) -> int:
    """Run an analysis on the folder named on the command line; a wrong request is one line and exit status 2.

    ``summary``: its module's docstring, for ``--help``.
    """

    def examine(folder: Path) -> None:
        if not (folder / "runs").is_dir():
            raise RequestError(f"{str(folder)!r} is no results folder; it has no folder 'runs'")
        analyse(folder)

    return folder_program(module, summary, examine, arguments, "one suite's results folder, such as results/quick")
