"""What a table's reader must be told beside it, a line each and none of them long."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pfl_bench.metrics import PRIMARY
from pfl_bench.text import printable, shortened

from .comparable import edited
from .entries import entry_name
from .mixtures import MARK, MIXED
from .primary import HEADINGS, heading

NAMED, LONGEST = 3, 200


@dataclass(frozen=True)
class Problem:
    """Something in a results folder that was left out, and why."""

    where: str
    why: str


def left_out(problems: Sequence[Problem], of: str = "") -> list[str]:
    """One line that names what was left out, the first few with the reason; none if nothing was."""
    if not problems:
        return []
    named = [shortened(printable(f"{problem.where}: {problem.why}"), LONGEST) for problem in problems[:NAMED]]
    more = [f"and {len(problems) - NAMED} more"] if len(problems) > NAMED else []
    place = f" of {printable(of)}" if of else ""
    return [f"Left out{place} ({len(problems)}): {'; '.join([*named, *more])}"]


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


def of_rows(table: pd.DataFrame) -> list[str]:
    """What must be told beside the leaderboard of one scenario."""
    return [*mixed(table), *rarer(table), *untuned(table), *ranked(table)]


def of_scenarios(table: pd.DataFrame) -> list[str]:
    """A line for scenarios that were edited without a new version; none if there is none."""
    names = edited(table["scenario"])
    if not names:
        return []
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    listed = ", ".join(names[:NAMED])
    return [f"Edited without a new version, and so told apart by a hash behind the name: {listed}{more}"]
