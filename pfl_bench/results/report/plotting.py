"""What the report's figures are made of: plain Plotly data, ``{"data": [traces], "layout": {...}}``, and beside it
``note``, what must be told under the picture, and ``leading``, the entries that keep their colours where there are more
than can be told apart.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pfl_bench.results.escapes import for_plotly
from pfl_bench.results.statistics.paired import REFERENCES

Figure = dict[str, Any]

MOST_POINTS = 500
"""Of one curve."""
LEADERS = 8
HEIGHT = 420


def figure_of(
    traces: Sequence[Mapping[str, Any]], x_title: str, y_title: str, leading: Iterable[str] = (), note: str = ""
) -> Figure:
    """A figure with titled axes. Texts of others are shown as what they are."""
    axes: dict[str, Mapping[str, Any]] = {
        "xaxis": {"title": {"text": x_title}, "automargin": True},
        "yaxis": {"title": {"text": y_title}, "automargin": True},
    }
    shown: Figure = for_plotly({"data": list(traces), "layout": {**axes, "height": HEIGHT}})
    return {**shown, "leading": list(leading), "note": note}


def leaders(scores: Mapping[str, float]) -> list[str]:
    """The highest scores, and whoever others are compared with, best first."""
    ordered = sorted(scores, key=lambda entry: (-scores[entry], entry))
    return [entry for place, entry in enumerate(ordered) if place < LEADERS or entry in REFERENCES]


def contest(ends: Mapping[str, float], highest: float | None = None) -> tuple[list[float], str]:
    """A range of the ordinate that shows those who compete, from the entries' last scores in percent, and who lies
    below it; [] where there is nothing to show. ``highest``: the highest score on the way, where it may be above them.

    It reaches as far below the third quarter of them as half of their distance to the best, and not beyond 0 and 100.
    """
    values = np.array([value for value in ends.values() if np.isfinite(value)])
    if not len(values):
        return [], ""
    top, low = float(values.max()), float(np.quantile(values, 0.25))
    spread = max(top - low, 1.0)
    peak = max(top, highest or top)
    bounds = [max(0.0, low - 0.5 * spread), max(peak, min(100.5, peak + 0.1 * spread))]
    under = sorted((entry for entry in ends if ends[entry] < bounds[0]), key=lambda entry: -ends[entry])
    told = ", ".join(f"{entry} ({ends[entry]:.2f})" for entry in under)
    return [rounded(bound) or 0.0 for bound in bounds], f"Below what is shown: {told}." if under else ""


def thinned(points: pd.DataFrame) -> pd.DataFrame:
    """At most ``MOST_POINTS`` rows, evenly spaced, the first and the last among them."""
    if len(points) <= MOST_POINTS:
        return points
    return points.iloc[np.unique(np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(int))]


def numbers(values: Any) -> list[float | None]:
    """``rounded`` each."""
    return [rounded(value) for value in np.asarray(values, dtype=float)]


def rounded(value: float) -> float | None:
    """Five significant digits; JSON has no NaN."""
    return float(f"{value:.5g}") if np.isfinite(value) else None


def faded(colour: str) -> str:
    """A colour to fill with."""
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.13)"
