"""What the runs behind one mean differ in, although they are averaged: libraries, commits, devices, back-ends.

Such runs are of one request, on one data set, split and code of the entrant; the engine's commit and the machine may
still move the last digits. They are averaged, and the row is marked.
"""

import json

import pandas as pd

MARK = "‡"
MIXED = "mixed"
"""The leaderboard's column; "" where nothing is mixed."""

KINDS = {
    "torch": "torch",
    "git_commit": "commits",
    "device": "devices",
    "gpu": "GPUs",
    "backend": "back-ends",
}
"""Columns of the runs, and what they are called in a sentence."""

DIRTY = "+dirty"
_SHOWN, _LONGEST = 3, 30


def mixture(runs: pd.DataFrame) -> str:
    """What these runs differ in, such as ``commits 39a1b2c, 8c9409a; torch 2.14.0, 2.15.0``; "" if in nothing.

    A commit with changes is no certain code: several runs at one are a mixture too. The earlier pieces of a resumed run
    (``begun_under``) count as well. What was not recorded is not held against a run.
    """
    found = []
    begun = runs["begun_under"].dropna() if "begun_under" in runs else ()
    pieces = [piece for of_run in begun for piece in json.loads(of_run)]
    for column, what in KINDS.items():
        recorded = runs[column].tolist() if column in runs else ()
        values = [str(value) for value in recorded if not pd.isna(value) and value]
        values += [str(piece[column]) for piece in pieces if piece.get(column)]
        distinct = sorted({_named(column, value) for value in values})
        if len(distinct) > 1 or (column == "git_commit" and len(values) > 1 and distinct[0].endswith(DIRTY)):
            more = f" and {len(distinct) - _SHOWN} more" if len(distinct) > _SHOWN else ""
            found.append(f"{what} {', '.join(distinct[:_SHOWN])}{more}")
    return "; ".join(found)


def _named(column: str, value: str) -> str:
    if column == "git_commit":
        commit, dirty, _ = value.partition(DIRTY)
        return commit[:7] + dirty
    if column == "device":
        return value.partition(":")[0]  # the number of a device says nothing of its kind
    return value[:_LONGEST]
