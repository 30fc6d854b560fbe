"""Any method against any other, as data that the page makes its two tables of."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pfl_bench.results.statistics.pairs import duels

from .plotting import rounded


def duel_data(tables: Mapping[str, pd.DataFrame], counting: list[str]) -> dict[str, Any]:
    """``tables``: by scenario, as ``statistics.paired.accuracy_table``; ``counting``: the scenarios that count in sums,
    one edition each.

    ``entries``: all names. ``scenarios``: per scenario rows ``[first, second, seeds, difference, low, high, p]``; the
    first two are places in ``entries``, p is null where the seeds are too few.
    """
    names = sorted({str(entry) for table in tables.values() for entry in table.columns})
    place = {name: k for k, name in enumerate(names)}
    found = {
        scenario: [
            [place[first], place[second], d.seeds, *(rounded(v) for v in (d.difference, d.low, d.high)), d.p_value]
            for (first, second), d in duels(table).items()
        ]
        for scenario, table in tables.items()
    }
    for rows in found.values():
        for row in rows:
            row[-1] = None if row[-1] is None else rounded(row[-1])
    return {"entries": names, "counting": counting, "scenarios": found}
