"""How findings are put: a sentence with its table behind it, names and numbers as they are read."""

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from pfl_bench.text import counted

Tables = Mapping[str, pd.DataFrame]
"""By name, as they are written: ``controls`` is ``controls.csv``."""

_NAMES = {"fedavg_ft": "FedAvg-FT", "local": "Local"}


def said(sentence: str, *tables: str) -> str:
    """A sentence, and where it was read."""
    return f"{sentence} ({', '.join(f'`{table}.csv`' for table in tables)})"


def name_of(control: object) -> str:
    """A control as papers write it."""
    return _NAMES.get(str(control), str(control))


def scenarios(count: object) -> str:
    """``1 scenario``, ``7 scenarios``."""
    number = int(str(count))
    return counted(number, "scenario")


def span(numbers: list[int]) -> str:
    """``5``, ``5 or 10``, or ``5 to 10`` of more than two."""
    return " or ".join(map(str, numbers)) if len(numbers) < 3 else f"{numbers[0]} to {numbers[-1]}"


def against(row: Mapping[Hashable, Any], most: object) -> str:
    """An entry, its difference to a control, in how many scenarios it is ahead and behind, and over how many it was
    tested, where these are not the ``most``."""
    fewer = "" if row["scenarios"] == most else f", over {row['scenarios']}"
    return f"{row['entry']} ({points(row)}, {row['wins']}:{row['losses']}{fewer})"


def points(row: Mapping[Hashable, Any]) -> str:
    """A difference in points, with its interval where there is one."""
    difference, low, high = (float(str(row[key])) for key in ("difference", "low", "high"))
    return f"{difference:+.1f} points" + ("" if math.isnan(low) else f", {low:+.1f} to {high:+.1f}")
