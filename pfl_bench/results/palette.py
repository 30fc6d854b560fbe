"""One look per entry in every picture and on every page: a colour, and what repeats the distinction, for Matplotlib and
for Plotly.

A look follows from the entry's name alone, so a method has the same colour wherever it appears, whoever else is there:
the methods of ``PLACES`` have fixed places, any other name one that its hash gives. Where two entries of one picture
would look alike, the later one by name takes the next free style of its colour, then the next free look.

The first seven colours are Okabe and Ito's (their black a grey), which colour-blind readers can tell apart; dashes and
symbols tell the others apart. All can be seen on white and on near-black.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

GREY = "#8A8A8A"
COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8A8A8A", "#7E57C2", "#8C6D31", "#B71C4A",
    "#00A5A5",
)  # fmt: skip
STYLES = (("-", "solid", "o", "circle"), ("--", "dash", "s", "square"), (":", "dot", "D", "diamond"),
          ("-.", "dashdot", "^", "triangle-up"), ((0, (8, 3)), "longdash", "X", "x"))  # fmt: skip
"""A line style and a marker of Matplotlib, a dash and a symbol of Plotly: ``line, dash, marker, symbol``."""

PLACES = (
    "fedavg", "local", "fedavg_ft", "ditto", "pfedhn", "pfedme", "fedper", "pfedhn_pc", "fedrep", "per_fedavg",
    "lg_fedavg", "apfl", "fedbn", "fedprox", "scaffold", "fedala", "knn_per", "pfedla", "hyperfl", "mh_pfedhn", "pefll",
    "fedrod", "fedamp", "fedfomo", "ifca", "cfl", "fedem", "fedadam", "fedavgm", "feddyn", "fednova", "moon", "fedbabu",
    "fedpac", "fedproto", "gpfl", "fedcp", "feddbe", "fedas", "fedselect", "superfed", "fedcac", "fedalt", "pfedfda",
    "feddecomp", "mr_mtl", "fedsim", "l2gd", "pfedgraph", "apple", "fedyogi", "fedadagrad",
)  # fmt: skip
"""Methods with fixed places. Order matters, and nothing is ever taken out: who is added goes to the end. Who is not
here has a look all the same."""

_LOOKS = len(COLOURS) * len(STYLES)
Look = tuple[int, int]
"""Places in ``COLOURS`` and ``STYLES``."""


def _preferred(name: str) -> Look:
    method = name.partition(" (")[0]
    known = method in PLACES
    number = PLACES.index(method) if known else int.from_bytes(hashlib.sha256(method.encode()).digest()[:4])
    return number % len(COLOURS), number // len(COLOURS) % len(STYLES)


def _candidates(first: Look) -> Iterable[Look]:
    """All looks: those of the same colour, then the others in order."""
    colour, style = first
    for step in range(_LOOKS):
        yield (colour + step // len(STYLES)) % len(COLOURS), (style + step) % len(STYLES)


class Palette:
    """The looks of the entries that are shown together; alike only when every look is taken."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._looks: dict[str, Look] = {}
        names = sorted(set(entries), key=lambda name: (name not in PLACES, name))
        for name in names:
            taken, first = set(self._looks.values()), _preferred(name)
            self._looks[name] = next((look for look in _candidates(first) if look not in taken), first)

    def colour(self, entry: str) -> str:
        """The entry's colour."""
        return COLOURS[self._looks[entry][0]]

    def line(self, entry: str) -> dict[str, Any]:
        """Colour and dash, for Plotly."""
        return {"color": self.colour(entry), "dash": STYLES[self._looks[entry][1]][1]}

    def marker(self, entry: str) -> dict[str, Any]:
        """Colour and symbol, for Plotly."""
        return {"color": self.colour(entry), "symbol": STYLES[self._looks[entry][1]][3]}

    def matplotlib_line(self, entry: str) -> dict[str, Any]:
        """Colour and line style, for Matplotlib."""
        return {"color": self.colour(entry), "linestyle": STYLES[self._looks[entry][1]][0]}
