"""What a ``run.json`` may hold, read as what it must be: each function raises TypeError for a value of another kind."""

import math
from collections.abc import Mapping
from typing import Any

from pfl_bench.text import printable, shortened

LONGEST = 500
"""Characters of a text that tables show."""
WHOLE = 2**63
"""What a whole number must stay below, so that every table can hold it."""

Figure = int | float | None
Fields = Mapping[str, Any]


def number(value: Any) -> Figure:
    """A figure as it was written; None for none and for NaN or infinity, which no figure may be."""
    if type(value) is float:  # most figures are
        return value if math.isfinite(value) else None
    if isinstance(value, bool):
        raise TypeError
    if value is None or not math.isfinite(figure := float(value)):
        return None
    return value if isinstance(value, int) and abs(value) < WHOLE else figure


def as_object(value: Any) -> Fields:
    """An object; an empty one where there is none."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError
    return value


def as_text(value: Any) -> str | None:
    """A text, or None where there is none."""
    return None if value is None else as_shown(value)


def as_shown(value: Any) -> str:
    """A text as every table may show it."""
    if not isinstance(value, str):
        raise TypeError
    return shortened(printable(value), LONGEST)


def as_scalars(value: Any) -> Fields:
    """An object of texts and numbers."""
    fields = as_object(value)
    if any(isinstance(item, dict | list) for item in fields.values()):
        raise TypeError
    return cleaned(fields)


def as_amounts(value: Any) -> Fields:
    """An object of figures, none of them below zero; what is unknown is None."""
    amounts = {name: number(item) for name, item in as_object(value).items()}
    if any(amount is not None and amount < 0 for amount in amounts.values()):
        raise TypeError
    return amounts


def cleaned(value: Any) -> Any:
    """A value with every text in it as every table may show it."""
    if isinstance(value, str):
        return as_shown(value)
    if isinstance(value, dict):
        return {as_shown(name): cleaned(item) for name, item in value.items()}
    return [cleaned(item) for item in value] if isinstance(value, list) else value


def as_figure(value: Any) -> int | float:
    """A figure that has to be there."""
    found = number(value)
    if found is None:
        raise TypeError
    return found
