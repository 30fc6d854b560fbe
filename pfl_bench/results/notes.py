"""What a table's reader must be told beside it, a line each and none of them long."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pfl_bench.metrics import PRIMARY, named
from pfl_bench.text import printable, shortened

from .comparable import edited
from .entries import entry_name
from .mixtures import MARK, MIXED
from .primary import HEADINGS, heading, primaries

NAMED, LONGEST = 3, 200

IMPORTED, IMPORTED_ALONE = "imported", "imported_alone"
"""Columns that a leaderboard has where figures were imported (``imported.py``): those of a row's method, and those of
methods that have no row in the scenario."""


@dataclass(frozen=True)
class Problem:
    """Something in a results folder that was left out, and why."""

    where: str
    why: str


def left_out(problems: Sequence[Problem], of: str = "") -> list[str]:
    """One line that names what was left out, the first few with the reason; none if nothing was."""
    if not problems:
        return []
    first = [shortened(printable(f"{problem.where}: {problem.why}"), LONGEST) for problem in problems[:NAMED]]
    more = [f"and {len(problems) - NAMED} more"] if len(problems) > NAMED else []
    place = f" of {printable(of)}" if of else ""
    return [f"Left out{place} ({len(problems)}): {'; '.join([*first, *more])}"]


def mixed(table: pd.DataFrame) -> list[str]:
    """A line for the marked rows of a leaderboard: what was averaged although it differs; none if nothing is marked."""
    marked = table[table[MIXED].fillna("") != ""] if MIXED in table else table.iloc[:0]
    if marked.empty:
        return []
    names = [entry_name(*own) for own in zip(marked["method"], marked["variant"], strict=True)]
    said = [f"{name}: {what}" for name, what in zip(names, marked[MIXED], strict=True)]
    more = [f"and {len(said) - NAMED} more"] if len(said) > NAMED else []
    listed = "; ".join([shortened(each, LONGEST) for each in said[:NAMED]] + more)
    return [f"{MARK} averaged although they differ: {listed}"]


def rarer(table: pd.DataFrame) -> list[str]:
    """A line for rows whose best evaluation was picked among fewer than that of others of one scenario's leaderboard;
    none if all had equally many."""
    count = table["candidates"].astype(float) if "candidates" in table else pd.Series(dtype=float)
    seldom = table[count < count.max()]
    if seldom.empty:
        return []
    names = dict.fromkeys(zip(seldom["method"], seldom["variant"], count[seldom.index], strict=True))
    said = [f"{entry_name(method, variant)} {among:g}" for method, variant, among in names]
    more = [f"and {len(said) - NAMED} more"] if len(said) > NAMED else []
    listed = ", ".join([*said[:NAMED], *more])
    return [f"The best evaluation is picked among fewer ({listed}) than of the others (up to {count.max():g})"]


def untuned(table: pd.DataFrame) -> list[str]:
    """A line for rows whose hyper-parameters nobody chose for the scenario; none where that is unknown."""
    origin = table["config_from"] if "config_from" in table else pd.Series("", index=table.index)
    plain = table[origin.fillna("") == "defaults"]
    if plain.empty:
        return []
    names = [entry_name(*own) for own in zip(plain["method"], plain["variant"], strict=True)]
    more = [f"and {len(names) - NAMED} more"] if len(names) > NAMED else []
    those = "all of them" if len(plain) == len(table) else ", ".join([*names[:NAMED], *more])
    return [f"Untuned, with a method's default hyper-parameters: {those}"]


def ranked(table: pd.DataFrame) -> list[str]:
    """A line where something else than accuracy ranks; none else."""
    if (ranks := heading(table)) == HEADINGS[PRIMARY]:
        return []
    return [f"Chosen on validation and ranked by {ranks}; figures over clients and at the end are accuracies"]


def undefined(table: pd.DataFrame) -> list[str]:
    """A line for entries whose primary metric does not exist for some of their clients' data; none else."""
    gone = table[table["accuracy_mean"].isna() & (table["seeds"] > 0)]
    if gone.empty:
        return []
    names = [entry_name(method, variant) for method, variant in zip(gone["method"], gone["variant"], strict=True)]
    why = {named(key).undefined for key in primaries(gone)} - {""}
    more = [f"and {len(names) - NAMED} more"] if len(names) > NAMED else []
    reason = f" ({'; '.join(sorted(why))})" if why else ""
    return [f"{heading(gone)} is undefined{reason}, and not ranked: {', '.join([*names[:NAMED], *more])}"]


def imported(table: pd.DataFrame) -> list[str]:
    """What others' figures in one scenario's leaderboard are, and those that no row of ours is of; none if there are no
    such figures."""
    if IMPORTED not in table or not table[[IMPORTED, IMPORTED_ALONE]].notna().any(axis=None):
        return []
    alone = [shortened(text, 10 * LONGEST) for text in dict.fromkeys(table[IMPORTED_ALONE].dropna())]
    legend = "Imported figures are others', of other splits, budgets and ways to choose: neither ranked nor averaged"
    return [legend, *(f"Imported, and no run of ours beside it: {text}" for text in alone)]


def of_rows(table: pd.DataFrame) -> list[str]:
    """What must be told beside the leaderboard of one scenario."""
    return [*mixed(table), *rarer(table), *untuned(table), *ranked(table), *undefined(table), *imported(table)]


def of_scenarios(table: pd.DataFrame) -> list[str]:
    """A line for scenarios that were edited without a new version; none if there is none."""
    names = edited(table["scenario"])
    if not names:
        return []
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    listed = ", ".join(names[:NAMED])
    return [f"Edited without a new version, and so told apart by a hash behind the name: {listed}{more}"]
