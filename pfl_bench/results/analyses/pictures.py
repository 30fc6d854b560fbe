"""What the analyses share: a table and a picture written into a file."""

import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from pfl_bench.errors import RequestError
from pfl_bench.results.files import write_bytes, write_text
from pfl_bench.text import counted


def write_frame(target: Path, frame: pd.DataFrame) -> Path:
    """A table as CSV, numbers to six significant digits; where it is."""
    return write_text(target, frame.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def load_pyplot() -> Any:
    """Matplotlib's pyplot, imported only when it is used. RequestError if it is missing."""
    try:
        return importlib.import_module("matplotlib.pyplot")
    except ImportError as error:
        raise RequestError("pictures need Matplotlib: pip install 'pfl-bench[plot]'") from error


@contextmanager
def picture(target: Path, width: float, height: float, columns: int = 1) -> Iterator[tuple[Any, Any]]:
    """A Matplotlib figure and its axes, saved as ``target`` in the end. Inches."""
    plt = load_pyplot()
    plt.switch_backend("Agg")
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
    """``1 seed``, ``3 seeds``, ``1 to 3 seeds`` where entries (column ``method``) have unequal numbers of them."""
    seeds = rows.groupby("method")["seed"].nunique()
    fewest, most = int(seeds.min()), int(seeds.max())
    return counted(most, "seed") if fewest == most else f"{fewest} to {counted(most, 'seed')}"
