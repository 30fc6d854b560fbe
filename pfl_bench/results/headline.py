"""A suite's result in three sentences: what was compared, who is ahead, and whether that is real."""

from dataclasses import dataclass

import pandas as pd

from pfl_bench.text import agreeing, counted, listed

from .cells import missing
from .display import untested
from .matrix import Matrix
from .overall import Overall
from .statistics.best import LEVEL

NOBODY = "Nobody can be ranked: what ranks is undefined at some seed of every method."


@dataclass(frozen=True)
class Headline:
    """``compared``: what; ``ahead``: who; ``real``: whether anybody may say so, beginning with Yes, No, Partly or
    Untested."""

    compared: str
    ahead: str
    real: str


def headline(runs: pd.DataFrame, board: pd.DataFrame, table: Matrix, over_all: Overall) -> Headline:
    """From a results frame, its leaderboard with ``entry``, and what was made of both."""
    compared = _compared(runs, table)
    counting = [column.scenario for column in table.counting]
    scored = board[board["scenario"].isin(counting) & board["rank"].notna()]
    if scored.empty:
        undefined = (runs["status"] == "finished").any()
        return Headline(compared, NOBODY if undefined else "No run has a result yet.", "")
    if scored["scenario"].nunique() == 1:
        return Headline(compared, *_of_one(scored))
    return Headline(compared, *_of_several(scored, table, over_all))


def _compared(runs: pd.DataFrame, table: Matrix) -> str:
    done = runs[runs["status"] == "finished"]
    seeds = done.groupby(["scenario", "entry"])["seed"].nunique()
    ends = dict.fromkeys((seeds.min(), seeds.max())) if len(seeds) else {}
    each = f", {' to '.join(str(end) for end in ends)} seed{'' if list(ends) == [1] else 's'} each" if ends else ""
    bases = len(table.counting)
    where = f"{counted(bases, 'scenario')}" if bases != 1 else f"one scenario, {table.counting[0].title}"
    edition = f" ({table.edition})" if table.edition else ""
    return f"{counted(len(table.rows), 'method')} in {where}{edition}{each}."


def _of_one(scored: pd.DataFrame) -> tuple[str, str]:
    scored = scored.sort_values("rank", kind="stable")
    best, scenario = scored.iloc[0], scored["scenario"].iloc[0]
    others, verdicts = len(scored) - 1, scored["versus_best"].value_counts()
    spread = "" if missing(best["accuracy_std"]) else f" ± {best['accuracy_std']:.2f}"
    firsts = scored[scored["rank"] == best["rank"]]["entry"]
    who = f"{listed(firsts)} {'is' if len(firsts) == 1 else 'are'} first in {scenario}"
    ahead = f"{who}: {best['accuracy_mean']:.2f}{spread} %."
    if not others:
        return ahead, "There is nobody to compare it with."
    tied, worse = (int(verdicts.get(name, 0)) for name in ("not significantly different", "worse"))
    if not tied and not worse:
        return ahead, f"Untested: {untested(scored).removeprefix('Not tested against the best: ') or 'no test'}"
    real = "Yes" if not tied and worse == others else "No" if not worse else "Partly"
    told = f"{real}: {worse} of {counted(others, 'other')} {_be(worse)} significantly worse, {tied} {_be(tied)} not"
    rest = others - tied - worse
    told += f", {rest} could not be tested" if rest else ""
    return ahead, f"{told} (95 % confidence set of the best, sign flips over seeds)."


def _of_several(scored: pd.DataFrame, table: Matrix, over_all: Overall) -> tuple[str, str]:
    in_common = [entry for entry in table.rows if entry in table.mean_ranks]
    if not in_common:
        return "No two scenarios have the same methods, so nobody is ahead over all of them.", ""
    best = in_common[0]
    firsts = [e for e in in_common if table.mean_ranks[e] == table.mean_ranks[best]]
    ahead = f"{listed(firsts)} {'has' if len(firsts) == 1 else 'have'} the best mean rank, {table.mean_ranks[best]:.2f}"
    has = agreeing(len(in_common), "has", "have")
    ahead += f" over the {counted(table.count, 'scenario')} that {counted(len(in_common), 'method')} {has} in common"
    ahead += f", and is first in {table.wins(best)} of {len(table.counting)}." if len(firsts) == 1 else "."
    return ahead, _whether(best, len(in_common) - 1, table, over_all) + _within(scored)


def _whether(best: str, others: int, table: Matrix, over_all: Overall) -> str:
    ranks = over_all.ranking
    if ranks.blocks != "scenarios" or ranks.p_value is None or ranks.critical_difference is None:
        return f"Untested over scenarios ({counted(table.count, 'scenario')}; a test of ranks takes 5, and 3 methods)."
    if ranks.p_value > 1 - LEVEL:
        return f"No: Friedman's test over them finds no difference (p = {ranks.p_value:.2g})."
    near = [
        e
        for e, mean in ranks.mean_ranks.items()
        if e != best and mean - ranks.mean_ranks[best] <= ranks.critical_difference
    ]
    how = f"(Nemenyi's test, critical difference {ranks.critical_difference:.2f})"
    told = f"not told apart from {listed(near)} {how}." if near else ""
    if len(near) == others:
        return f"No: it is {told}"
    better = f"its ranks are significantly better than those of {counted(others - len(near), 'other')}"
    return f"Partly: {better}, but {told}" if near else f"Yes: {better}, which is all {how}."


def _within(scored: pd.DataFrame) -> str:
    """How often the best of a scenario is really alone there."""
    tested = alone = 0
    for _, part in scored.groupby("scenario", sort=False):
        verdicts = set(part["versus_best"])
        tested += bool(verdicts & {"worse", "not significantly different"})
        alone += verdicts == {"best", "worse"}
    if not tested:
        return " Within no scenario are there seeds enough to test the best one."
    return f" Within scenarios, the best is really alone in {alone} of the {tested} that have seeds enough for a test."


def _be(number: int) -> str:
    return agreeing(number, "is", "are")
