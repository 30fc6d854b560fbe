"""Ranks over scenarios: Friedman's test and the critical difference (Demsar 2006, JMLR 7, section 3.2)."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
import scipy

from .best import DIGITS, LEVEL
from .common import Common, common, complete
from .paired import accuracy_table

FEWEST_BLOCKS = 5
FEWEST_ENTRIES = 3


@dataclass(frozen=True)
class Ranking:
    """Mean ranks over blocks (1 is best), and what may be said about them.

    ``blocks``: what was ranked within, "scenarios" or "seeds of <scenario>". ``critical_difference`` and ``p_value``
    are None where there is too little for a test; ``note`` says so. ``groups``: entries that Nemenyi's test cannot
    tell apart, in order of rank. ``left_out``: what was not ranked, in words. ``instead``: why scenarios could not be
    ranked within, where something else was.
    """

    mean_ranks: dict[str, float]
    blocks: str
    count: int
    p_value: float | None
    critical_difference: float | None
    groups: list[list[str]]
    note: str
    left_out: tuple[str, ...] = ()
    instead: str = ""


def scenario_means(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean accuracy ``[scenarios, entries]`` over seeds."""
    done = runs[runs["accuracy"].notna()]
    return done.pivot_table(index="scenario", columns="entry", values="accuracy", aggfunc="mean", sort=False)


def rank(table: pd.DataFrame, blocks: str) -> Ranking:
    """Rank the entries of ``[blocks, entries]`` accuracies, best first; ties share the mean rank, and what differs by
    rounding is a tie. Of a table with gaps what is complete (``common.complete``)."""
    table, gone = complete(table.round(DIGITS))
    left_out = tuple(f"{blocks}: {each}" for each in gone)
    count, entries = table.shape
    ranks = table.rank(axis=1, ascending=False).mean() if count else pd.Series(dtype=float)
    ranks = ranks.sort_index().sort_values(kind="stable")
    means = {str(entry): float(value) for entry, value in ranks.items()}
    if count < FEWEST_BLOCKS or entries < FEWEST_ENTRIES:
        note = f"{blocks}: {count}, entries common to them: {entries}; it takes {FEWEST_BLOCKS} and {FEWEST_ENTRIES}"
        return Ranking(means, blocks, count, None, None, [], note, left_out)
    if (table.nunique(axis=1) == 1).all():
        return Ranking(means, blocks, count, None, None, [], f"all entries are equal in all {count} {blocks}", left_out)
    p_value = float(scipy.stats.friedmanchisquare(*(table[e] for e in table.columns)).pvalue)
    difference = critical_difference(entries, count)
    alike = pd.DataFrame({a: {b: abs(means[a] - means[b]) <= difference for b in means} for a in means})
    groups = longest_runs(list(means), alike)
    note = "" if p_value <= 1 - LEVEL else "Friedman's test finds no difference among the entries"
    return Ranking(means, blocks, count, p_value, difference, groups, note, left_out)


def critical_difference(entries: int, blocks: int, level: float = LEVEL) -> float:
    """Nemenyi's: how far apart two mean ranks must lie. q / sqrt(2) * sqrt(k (k + 1) / (6 N))."""
    q = scipy.stats.studentized_range.ppf(level, entries, np.inf) / math.sqrt(2)
    return float(q * math.sqrt(entries * (entries + 1) / (6 * blocks)))


def ranking(runs: pd.DataFrame, shared: Common | None = None) -> Ranking:
    """Over scenarios (what ``common`` leaves of them) where there are enough of them; else over the seeds of the
    scenario that has most seeds.

    Seeds are independent repetitions of one scenario, so that ranking speaks for this scenario only.
    """
    shared = common(runs) if shared is None else shared
    over_scenarios = replace(rank(scenario_means(shared.runs), "scenarios"), left_out=shared.left_out)
    if over_scenarios.p_value is not None:
        return over_scenarios
    within = [rank(accuracy_table(runs, s), f"seeds of {s}") for s in sorted(runs["scenario"].dropna().unique())]
    tested = [each for each in within if each.p_value is not None]
    if not tested:
        return over_scenarios
    return replace(max(tested, key=lambda each: each.count), instead=over_scenarios.note)


def longest_runs(ordered: list[str], alike: pd.DataFrame) -> list[list[str]]:
    """Maximal stretches of two and more neighbours in ``ordered`` that are all alike pairwise (bars of a diagram)."""
    close = alike.loc[ordered, ordered].to_numpy(dtype=bool)
    reach = []
    for first in range(len(ordered)):
        last = first
        while last + 1 < len(ordered) and close[last + 1, first : last + 1].all():
            last += 1
        reach.append(last)
    starts = [0, *(k + 1 for k, (a, b) in enumerate(pairwise(reach)) if b > a)]
    return [ordered[s : reach[s] + 1] for s in starts if reach[s] > s] if ordered else []
