"""What is said of entries: against the controls, in what order, and on what was held out."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
import scipy

from pfl_bench.results.statistics.best import LEVEL
from pfl_bench.results.statistics.paired import holm
from pfl_bench.results.statistics.scenarios import MARGIN
from pfl_bench.text import agreeing, counted, listed

from .words import Tables, against, name_of, points, said, scenarios

WATCHED = "pfedhn"
"""The method whose place the page tells in any case: this benchmark began with its paper."""

FEWEST_TO_AGREE = 10
"""Entries below which the agreement of two orders says nothing."""

RISING = 1.0
"""Points gained on validation in the last quarter of the budget from which a curve was still rising."""


def controls(tables: Tables) -> Iterator[str]:
    """Who is better and worse than each control, who is close to it, and who could not be tested."""
    for control, own in tables["controls"].groupby("control", sort=False):
        name, tested = name_of(control), own[own["adjusted"].notna()]
        if tested.empty:
            yield said(f"No entry could be tested against {name} over scenarios: {_most_differing(own)}.", "controls")
            continue
        most = tested["scenarios"].max()
        how = (
            f"exact signed ranks, Holm over {counted(len(tested), 'entry')}, level {1 - LEVEL:.2f}; in brackets the "
            "shift with the 95 % interval of this entry alone, and scenarios ahead and behind"
        )
        for verdict in ("better", "worse"):
            found = tested[tested["verdict"] == verdict].to_dict("records")
            who = listed([against(row, most) for row in found], most=len(found)) if found else "no entry"
            be = "is" if len(found) < 2 else "are"
            told = f" ({how})" if verdict == "better" else ""
            yield said(f"Over these {scenarios(most)}, {who} {be} shown to be {verdict} than {name}{told}.", "controls")
        level = tested[tested["verdict"] == "not told apart"]
        who = f": {listed(level['entry'], most=len(level))}" if len(level) else ""
        yield said(
            f"{len(level)} of {counted(len(tested), 'tested entry')} {agreeing(len(level), 'is', 'are')} not told "
            f"apart from {name}{who}.",
            "controls",
        )
        yield from _otherwise(tested, name)
        if control == "fedavg_ft":
            yield from _close(tested, name)
        untested = own[own["adjusted"].isna()]
        if len(untested):
            who = listed(untested["entry"], most=len(untested))
            yield said(f"Untested against {name}, with too few scenarios in which they differ: {who}.", "controls")


def _most_differing(own: pd.DataFrame) -> str:
    """The note of the entry that differs in most scenarios."""
    return str(own["note"].iloc[int((own["wins"] + own["losses"]).to_numpy().argmax())])


def _otherwise(tested: pd.DataFrame, name: str) -> Iterator[str]:
    """Where a permutation test of the mean says something else than ranks do."""
    adjusted = np.asarray(holm(tested["sign_flip"].astype(float).tolist()))
    by_mean = np.where(adjusted > 1 - LEVEL, "not told apart", np.where(tested["mean"] > 0, "better", "worse"))
    other = tested[by_mean != tested["verdict"]]["entry"]
    if len(other):
        yield said(
            f"Sign flips of the mean difference to {name}, Holm-corrected likewise, say something else than ranks of "
            f"{listed(other, most=len(other))}.",
            "controls",
        )


def _close(tested: pd.DataFrame, name: str) -> Iterator[str]:
    """Who is shown to be no more than a margin better: what "simple baselines come close" would mean."""
    shown = tested[tested["close"] <= 1 - LEVEL]["entry"]
    open_ = tested[(tested["close"] > 1 - LEVEL) & (tested["verdict"] != "better")]["entry"]
    if len(shown):
        yield said(
            f"Shown to be less than {MARGIN:g} point better than {name} (one-sided signed ranks, Holm): "
            f"{listed(shown, most=len(shown))}.",
            "controls",
        )
    if len(open_):
        yield said(
            f"Neither better than {name} nor shown to be less than {MARGIN:g} point better: "
            f"{listed(open_, most=len(open_))}.",
            "controls",
        )


def standing(tables: Tables) -> Iterator[str]:
    """Who has the best mean rank, who cannot be told apart from it, and who is nearest to the best."""
    table, ranks = tables["standing"], tables["ranks"].iloc[0]
    ranked = table[table["mean_rank"].notna()]
    if ranked.empty:
        return
    first = ranked.iloc[0]
    level = ranked[ranked["mean_rank"] == first["mean_rank"]]
    if len(level) > 1:
        who, won = f"{listed(level['entry'])} have", ""
    else:
        who = f"{first['entry']} has"
        won = "" if pd.isna(first["win_rate"]) else f", and wins {first['win_rate']:.0f} % of its pairs"
    yield said(
        f"{who} the best mean rank, {first['mean_rank']:.1f} of {len(ranked)}, over {scenarios(ranks['count'])}{won}.",
        "standing",
    )
    most = table["improvability_scenarios"].max()
    known = table[(table["improvability_scenarios"] == most) & table["improvability"].notna()]
    if len(known):
        least = known.sort_values("improvability", kind="stable").iloc[0]
        yield said(
            f"Where Local and the best lie five points apart or more ({scenarios(most)}), {least['entry']} is nearest "
            f"to the best: what it lacks is in the median {least['improvability']:.0f} % of that distance.",
            "standing",
        )
    if ranks["left_out"]:
        yield said(f"Ranks leave out: {ranks['left_out']}.", "ranks")
    if pd.isna(ranks["critical_difference"]):
        yield said(f"Mean ranks are not tested: {ranks['note']}.", "ranks")
        return
    difference = float(ranks["critical_difference"])
    near = ranked[ranked["mean_rank"] - first["mean_rank"] <= difference]["entry"].tolist()[1:]
    told = f"not told apart from {counted(len(near), 'other')}" if near else "told apart from all others"
    if float(ranks["friedman_p"]) > 1 - LEVEL:
        told = "not told apart from anybody, because Friedman's test finds no difference among them"
    yield said(
        f"By Nemenyi's test mean ranks less than {difference:.1f} apart, of {len(ranked)}, are not told apart: "
        f"{first['entry']} is {told}.",
        "ranks",
    )


def watched(tables: Tables) -> Iterator[str]:
    """Where one method stands, under what it does best and worst, whether it was done learning, and what it costs."""
    table = tables["standing"]
    own = table[table["entry"] == WATCHED]
    if own.empty:
        return
    if not math.isnan(place := float(own["mean_rank"].iloc[0])):
        ranked = int(table["mean_rank"].notna().sum())
        yield said(f"Its mean rank is {place:.1f} of {counted(ranked, 'entry')}.", "standing")
    against_ = tables["controls"]
    for row in against_[against_["entry"] == WATCHED].to_dict("records"):
        corrected = "" if pd.isna(row["adjusted"]) else f"p {row['adjusted']:.2g} with Holm's correction"
        yield said(
            f"Against {name_of(row['control'])} its shift is {points(row)} (the interval of this entry alone), over "
            f"{scenarios(row['scenarios'])}, ahead in {row['wins']} and behind in {row['losses']}: {row['verdict']}"
            f"{corrected and f' ({corrected})'}.",
            "controls",
        )
    gains = tables["gains"][tables["gains"]["entry"] == WATCHED].sort_values("difference", kind="stable")
    kinds = gains.groupby("kind")["difference"].mean().sort_values(kind="stable")
    if len(kinds) > 1:
        yield said(
            f"By kind of heterogeneity, its mean difference to FedAvg-FT goes from {kinds.iloc[0]:+.1f} points "
            f"({kinds.index[0]}) to {kinds.iloc[-1]:+.1f} ({kinds.index[-1]}); a description, no test.",
            "gains",
        )
        behind = gains[gains["difference"] < 0].head(2)
        ends = [f"{row.scenario} ({row.difference:+.1f})" for row in behind.itertuples()]
        if ends:
            yield said(f"It is furthest behind FedAvg-FT on {listed(ends)}.", "gains")
    yield from _rising(tables)
    cost = tables["costs"][tables["costs"]["entry"] == WATCHED]
    if len(cost) and not math.isnan(float(cost["bytes"].iloc[0])):
        moved, taken = (float(cost[name].iloc[0]) for name in ("bytes", "gradients"))
        yield said(
            f"Its bytes are {moved:.2g} of FedAvg-FT's, its gradients {taken:.2g}.",
            "costs",
        )


def _rising(tables: Tables) -> Iterator[str]:
    """Whether its budget was enough for it, beside the others'."""
    table = tables["plateau"]
    table = table.dropna(subset=["gained_late"])
    own = table[table["entry"] == WATCHED]
    if own.empty:
        return
    late = table.groupby("entry")["gained_late"].mean()
    rising = own[own["gained_late"] >= RISING].sort_values("gained_late", ascending=False, kind="stable")
    where = [f"{row.scenario} ({row.gained_late:+.1f})" for row in rising.itertuples()]
    yield said(
        f"In the last quarter of the budget it gains {late[WATCHED]:.1f} points on validation on average, where the "
        f"median entry gains {late.median():.1f}; "
        + (f"it was still rising by {RISING:g} point or more on {listed(where, most=len(where))}" if where else
           f"it was rising by {RISING:g} point or more nowhere")
        + ": its place is that at this budget.",
        "plateau",
    )  # fmt: skip
    gains = tables["gains"][tables["gains"]["entry"] == WATCHED].set_index("scenario")["difference"]
    both = own.set_index("scenario").join(gains, how="inner")[["gained_late", "difference"]].dropna()
    if len(both) < FEWEST_TO_AGREE or (both.nunique() < 2).any() or both["difference"].mean() >= 0:
        return
    found = scipy.stats.spearmanr(both["gained_late"], both["difference"])
    short = found.pvalue <= 1 - LEVEL and found.statistic < 0
    yield said(
        f"Over {scenarios(len(both))} its difference to FedAvg-FT and what it gains in that quarter have a Spearman "
        f"correlation of {found.statistic:.2f} (p {found.pvalue:.2g}): "
        + ("it is further behind where it was still rising." if short else
           "that its budget was too short is not shown to be why it is behind, and no other reason was tested."),
        "plateau", "gains",
    )  # fmt: skip


def held_out(tables: Tables) -> Iterator[str]:
    """Who is ahead where nobody tuned, and whether the order is that of the board."""
    for scenario, own in tables["held_out"].groupby("scenario", sort=False):
        first = own[own["rank"] == 1]
        others = own[(own["entry"] != "fedavg_ft") & own["low"].notna()]
        above = int((others["low"] > 0).sum())
        be = agreeing(len(first), "is", "are")
        told = (
            f"; {above} of {counted(len(others), 'entry')} "
            f"{agreeing(above, 'is', 'are')} above FedAvg-FT by more than the noise of seeds (95 % each, uncorrected: "
            f"of equal ones {len(others) * (1 - LEVEL) / 2:.1f} would be; the test samples are the same at all seeds)"
        )
        yield said(
            f"On {scenario}, which nobody tuned on, {listed(first['entry'])} {be} first with "
            f"{first['mean'].iloc[0]:.1f} %{told if len(others) else ''}.",
            "held_out",
        )
        both = own.dropna(subset=["rank", "mean_rank_on_board"])
        if len(both) >= FEWEST_TO_AGREE and both[["rank", "mean_rank_on_board"]].nunique().min() > 1:
            alike, low, high = _agreement(both["rank"], both["mean_rank_on_board"])
            yield said(
                f"Ranks there and mean ranks on the board have a Spearman correlation of {alike:.2f} ({low:.2f} to "
                f"{high:.2f} by Fisher's z with Bonett and Wright's error) over {counted(len(both), 'entry')}, counted "
                "as independent, which variants of one method are not.",
                "held_out",
            )


def _agreement(ranks: pd.Series, others: pd.Series) -> tuple[float, float, float]:
    """Spearman's correlation and its 95 % interval (Bonett and Wright 2000, Psychometrika 65(1): the z of a
    correlation of ranks has the variance (1 + r^2 / 2) / (n - 3))."""
    alike = float(ranks.corr(others, method="spearman"))
    z = math.atanh(min(max(alike, -0.999), 0.999))
    half = 1.96 * math.sqrt((1 + alike**2 / 2) / (len(ranks) - 3))
    return alike, math.tanh(z - half), math.tanh(z + half)
