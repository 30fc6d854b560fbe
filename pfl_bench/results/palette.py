"""One look per entry in every picture: colours, and what repeats the distinction, for Matplotlib and for Plotly.

The colours are Okabe and Ito's, which colour-blind readers can tell apart. The seventh is neutral: black on paper,
grey in the page, which may be dark.
"""

from collections.abc import Sequence
from typing import Any

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
GREY = "#8A8A8A"
STYLES = (("-", "solid", "circle"), ("--", "dash", "square"), (":", "dot", "diamond"), ("-.", "dashdot", "triangle-up"),
          ((0, (8, 3)), "longdash", "x"))  # fmt: skip
"""A Matplotlib line style, a Plotly dash, and a Plotly marker."""


def matplotlib_line(position: int) -> dict[str, Any]:
    """Colour and line style of the ``position``-th entry."""
    return {"color": COLOURS[position % len(COLOURS)], "linestyle": _style(position)[0]}


class Palette:
    """Plotly's looks: every entry has its own, the same in every figure."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._position = {entry: k for k, entry in enumerate(sorted(set(entries)))}

    def colour(self, entry: str) -> str:
        """The entry's colour."""
        return (*COLOURS[:-1], GREY)[self._position[entry] % len(COLOURS)]

    def line(self, entry: str) -> dict[str, Any]:
        """Colour and dash."""
        return {"color": self.colour(entry), "dash": _style(self._position[entry])[1]}

    def marker(self, entry: str) -> dict[str, Any]:
        """Colour and symbol."""
        return {"color": self.colour(entry), "symbol": _style(self._position[entry])[2]}


def _style(position: int) -> tuple[Any, str, str]:
    return STYLES[position // len(COLOURS) % len(STYLES)]
