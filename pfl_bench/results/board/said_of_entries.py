"""What is said of entries: against the controls, in what order, and on what was held out."""

import math
from collections.abc import Iterator

import pandas as pd

from pfl_bench.results.statistics.best import LEVEL
from pfl_bench.text import agreeing, counted

from .words import Tables, listed, name_of, points, said, scenarios

WATCHED = "pfedhn"
"""The method whose place the page tells in any case: this benchmark began with its paper."""

FEWEST_TO_AGREE = 3
"""Entries below which the agreement of two orders says nothing."""


def controls(tables: Tables) -> Iterator[str]:
    """Who is better and worse than each control, and who could not be tested."""
    for control, own in tables["controls"].groupby("control", sort=False):
        name, tested = name_of(control), own[own["adjusted"].notna()]
        if tested.empty:
            yield said(f"No entry could be tested against {name} over scenarios: {own['note'].iloc[0]}.", "controls")
            continue
        how = f"signed ranks over scenarios, Holm over {counted(len(tested), 'entry')}, level {1 - LEVEL:.2f}"
        for verdict in ("better", "worse"):
            found = tested[tested["verdict"] == verdict].to_dict("records")
            who = listed([f"{row['entry']} ({points(row)})" for row in found]) if found else "no entry"
            be = "is" if len(found) < 2 else "are"
            where = scenarios(tested["scenarios"].max())
            yield said(f"Over {where}, {who} {be} {verdict} than {name} ({how}).", "controls")
        level = int((tested["verdict"] == "not told apart").sum())
        yield said(
            f"{level} of {counted(len(tested), 'tested entry')} {agreeing(level, 'is', 'are')} not told apart "
            f"from {name}.",
            "controls",
        )
        untested = own[own["adjusted"].isna()]
        if len(untested):
            yield said(f"Untested against {name}, with too few scenarios: {listed(untested['entry'])}.", "controls")


def standing(tables: Tables) -> Iterator[str]:
    """Who has the best mean rank, who cannot be told apart from it, and who is nearest to the best."""
    table, ranks = tables["standing"], tables["ranks"].iloc[0]
    ranked = table[table["mean_rank"].notna()]
    if ranked.empty:
        return
    first = ranked.iloc[0]
    yield said(
        f"{first['entry']} has the best mean rank, {first['mean_rank']:.1f} of {len(ranked)}, and wins "
        f"{first['win_rate']:.0f} % of its pairs.",
        "standing",
    )
    least = table.sort_values("improvability", kind="stable").iloc[0]
    if not math.isnan(float(least["improvability"])):
        yield said(
            f"Nearest to the best of each scenario is {least['entry']}: what it lacks is on average "
            f"{least['improvability']:.0f} % of the distance from Local to the best.",
            "standing",
        )
    if pd.isna(ranks["critical_difference"]):
        yield said(f"Mean ranks are not tested: {ranks['note']}.", "ranks")
        return
    difference = float(ranks["critical_difference"])
    near = ranked[ranked["mean_rank"] - first["mean_rank"] <= difference]["entry"].tolist()[1:]
    told = f"not told apart from {listed(near)}" if near else "told apart from all others"
    if float(ranks["friedman_p"]) > 1 - LEVEL:
        told = "not told apart from anybody, because Friedman's test finds no difference among them"
    yield said(f"By Nemenyi's critical difference of {difference:.1f} ranks {first['entry']} is {told}.", "ranks")


def watched(tables: Tables) -> Iterator[str]:
    """Where one method stands, under what it does best and worst, and what it costs."""
    table = tables["standing"]
    own = table[table["entry"] == WATCHED]
    if own.empty:
        return
    if not math.isnan(place := float(own["mean_rank"].iloc[0])):
        ranked = int(table["mean_rank"].notna().sum())
        yield said(f"Its mean rank is {place:.1f} of {counted(ranked, 'entry')}.", "standing")
    against = tables["controls"]
    for row in against[against["entry"] == WATCHED].to_dict("records"):
        yield said(
            f"Against {name_of(row['control'])} its mean difference is {points(row)}, over "
            f"{scenarios(row['scenarios'])}, ahead in {row['wins']} and behind in {row['losses']}: {row['verdict']}.",
            "controls",
        )
    gains = tables["gains"]
    kinds = gains[gains["entry"] == WATCHED].groupby("kind")["difference"].mean().sort_values(kind="stable")
    if len(kinds) > 1:
        yield said(
            f"By kind of heterogeneity, its mean difference to FedAvg-FT goes from {kinds.iloc[0]:+.1f} points "
            f"({kinds.index[0]}) to {kinds.iloc[-1]:+.1f} ({kinds.index[-1]}); a description, no test.",
            "gains",
        )
    cost = tables["costs"][tables["costs"]["entry"] == WATCHED]
    if len(cost) and not math.isnan(float(cost["bytes"].iloc[0])):
        moved, taken = (float(cost[name].iloc[0]) for name in ("bytes", "gradients"))
        yield said(
            f"It moves {moved:.2g} times FedAvg-FT's bytes, with {taken:.2g} times its gradients.",
            "costs",
        )


def held_out(tables: Tables) -> Iterator[str]:
    """Who is ahead where nobody tuned, and whether the order is that of the board."""
    for scenario, own in tables["held_out"].groupby("scenario", sort=False):
        first = own.iloc[0]
        above = int((own["low"] > 0).sum())
        yield said(
            f"On {scenario}, which nobody tuned on, {first['entry']} is first with {first['mean']:.1f} %; {above} of "
            f"{counted(len(own), 'entry')} {agreeing(above, 'is', 'are')} above FedAvg-FT by more than the "
            f"noise of seeds (uncorrected).",
            "held_out",
        )
        both = own.dropna(subset=["rank", "mean_rank_on_board"])
        if len(both) >= FEWEST_TO_AGREE:
            alike = float(both["rank"].corr(both["mean_rank_on_board"], method="spearman"))
            yield said(
                f"Ranks there and mean ranks on the board agree with a Spearman correlation of {alike:.2f} over "
                f"{counted(len(both), 'entry')}.",
                "held_out",
            )
