"""The suites that a site shows: those of a results folder, or the published ones that the package ships."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from pfl_bench.errors import RequestError
from pfl_bench.results import shipped
from pfl_bench.results.asked import asked_for
from pfl_bench.results.entries import one_name_each
from pfl_bench.results.packed import LABELS
from pfl_bench.results.places import suite_folders
from pfl_bench.results.primary import by_primary
from pfl_bench.results.report.collect import NOVEL, Results, collect
from pfl_bench.results.run_tables import CLIENTS, HISTORY

TUNING = "-tuning"
"""How the names of suites end that hold the trials of a choice of hyper-parameters, which nobody compares."""
BOARD = re.compile(r"board-v([0-9]+)")
"""How the names of boards begin, which others may enter."""

Suites = dict[str, Callable[[], Results]]
"""By name, what reads a suite's results: one suite at a time is in memory."""


def suites_of(folder: Path | None) -> Suites:
    """The suites of a results folder but for trials, or without one those of the package; boards first, the newest on
    top. RequestError where there is none."""
    found: Suites
    if folder is None:
        found = {name: partial(_shipped, name) for name in shipped.names()}
    else:
        places = {name: place for name, place in suite_folders(folder).items() if not name.endswith(TUNING)}
        if not places:
            raise RequestError(f"{str(folder)!r} holds nothing but trials of hyper-parameters (*{TUNING})")
        found = {name: partial(collect, place) for name, place in places.items()}
    return {name: found[name] for name in sorted(found, key=_order)}


def is_board(name: str) -> bool:
    """Whether others may enter a suite of this name, and it has findings."""
    return BOARD.match(name) is not None


def _order(name: str) -> tuple[int, str]:
    board = BOARD.match(name)
    return (-int(board[1]) if board else 1, name)


def _shipped(name: str) -> Results:
    """What a report needs, of the frames in the package. They say nothing of novel clients and of who holds what."""
    found = shipped.frames(name)
    runs = by_primary(found["runs"])
    runs["entry"] = one_name_each(runs)
    return Results(
        name,
        runs,
        _as_read(found["curves"], HISTORY),
        _as_read(found["clients"], CLIENTS),
        pd.DataFrame(columns=[*NOVEL, "samples", *LABELS]),
        scenarios=asked_for(runs, None),
    )


def _as_read(table: pd.DataFrame, numeric: tuple[str, ...]) -> pd.DataFrame:
    return table.assign(**{name: pd.to_numeric(table[name]) for name in numeric})
