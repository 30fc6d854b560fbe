"""Numbers as people type them: ASCII digits, within bounds. (Python's ``int`` reads any script's, and ``1_000``.)"""

import re
from collections.abc import Callable

import typer

from pfl_bench.errors import shown


def whole(least: int, most: int) -> Callable[[str | int], int]:
    """A parser of whole numbers from ``least`` to ``most``."""

    def read(text: str | int) -> int:
        if not re.fullmatch(r"-?[0-9]{1,20}", str(text)) or not least <= int(text) <= most:
            raise typer.BadParameter(f"{shown(str(text))} is not a whole number from {least} to {most}.")
        return int(text)

    return read


def whole_or_auto(least: int, most: int) -> Callable[[str | int], int | None]:
    """A parser of whole numbers from ``least`` to ``most``; None for ``auto``."""
    read = whole(least, most)
    return lambda text: None if text == "auto" else read(text)


def number(text: str | float) -> float:
    """A parser of numbers; whether one may be infinite or negative is for others to say."""
    if not re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?|[-+]?inf|nan", str(text), re.IGNORECASE):
        raise typer.BadParameter(f"{shown(str(text))} is not a number.")
    return float(text)
