"""What is said of ideas: when a family pays, for whom, at what cost; and what the board cannot tell."""

import math
from collections.abc import Iterator

from pfl_bench.results.statistics.best import LEVEL
from pfl_bench.results.statistics.paired import seeds_needed
from pfl_bench.text import agreeing, counted

from .factors import ALL
from .words import Tables, listed, name_of, points, said, scenarios, span


def compared(tables: Tables) -> Iterator[str]:
    """What took part, and what has no result."""
    own, gaps = tables["scenarios"], tables["gaps"]
    seeds = sorted(set(own["seeds"]))
    kinds = ", ".join(f"{kind} {count}" for kind, count in own["kind"].value_counts().sort_index().items())
    yield said(
        f"{counted(len(tables['standing']), 'entry')} on {scenarios(len(own))}, "
        f"{span(seeds)} {agreeing(seeds[-1], 'seed', 'seeds')} each; "
        f"by kind of heterogeneity: {kinds}.",
        "scenarios",
    )
    if len(gaps):
        cells = [f"{row.entry} on {row.scenario} ({row.status})" for row in gaps.itertuples()]
        yield said(f"Cells without all of their results: {listed(cells)}.", "gaps")


def factors(tables: Tables) -> Iterator[str]:
    """Families against FedAvg-FT over all scenarios, tested; and the foremost of each kind, described."""
    own = tables["factors"]
    own = own[own["control"] == "fedavg_ft"]
    whole = own[own["kind"] == ALL]
    tested = whole[whole["adjusted"].notna()]
    for row in tested[tested["adjusted"] <= 1 - LEVEL].to_dict("records"):
        way = "above" if row["difference"] > 0 else "below"
        yield said(
            f"The family {row['family']!r} is on average {way} FedAvg-FT ({points(row)}, over "
            f"{scenarios(row['scenarios'])}; signed ranks, Holm over families).",
            "factors",
        )
    if len(level := tested[tested["adjusted"] > 1 - LEVEL]):
        yield said(f"Families that are not told apart from FedAvg-FT: {listed(level['family'])}.", "factors")
    if len(untested := whole[whole["adjusted"].isna()]):
        fewest = seeds_needed(len(whole))
        yield said(
            f"Families with fewer scenarios than the {fewest} that a test takes: {listed(untested['family'])}.",
            "factors",
        )
    for kind, part in own[own["kind"] != ALL].groupby("kind", sort=False):
        best = part.sort_values("difference", ascending=False, kind="stable").iloc[0]
        name = "no heterogeneity" if kind == "none" else str(kind)
        yield said(
            f"Under {name} ({scenarios(best['scenarios'])}; a description, no test) the family with the highest mean "
            f"difference to FedAvg-FT is {best['family']!r}, "
            f"{best['difference']:+.1f} points; its best entry is {best['best_entry']}, "
            f"{best['best_difference']:+.1f}.",
            "factors",
        )


def hurt(tables: Tables) -> Iterator[str]:
    """With whom the fewest and the most clients would be better off alone."""
    known = tables["hurt"].dropna(subset=["worse_than_local"])
    if known.empty:
        return
    least, most = known.iloc[0], known.iloc[-1]
    yield said(
        f"The fewest clients would be better off alone with {least['entry']} ({least['worse_than_local']:.0f} %), the "
        f"most with {most['entry']} ({most['worse_than_local']:.0f} %): means over scenarios, not tested.",
        "hurt",
    )


def costs(tables: Tables) -> Iterator[str]:
    """Who never pays for what it takes, and who is on the front of rank against bytes."""
    own = tables["costs"]
    never, front = own[own["never_pays"]]["entry"], own[own["on_front"]]["entry"]
    nowhere = "above it by more than the noise of seeds in no scenario"
    if len(never):
        who = listed(never, most=len(never))
        yield said(f"Dearer than FedAvg-FT in something, and {nowhere}: {who}.", "costs")
    else:
        yield said(f"No entry is dearer than FedAvg-FT in something, and {nowhere}.", "costs")
    if len(front):
        yield said(f"No entry that moves no more bytes ranks better than {listed(front, most=len(front))}.", "costs")


def limits(tables: Tables) -> Iterator[str]:
    """Scenarios that tell little, what the tests would find, and how many scenarios more would take."""
    own = tables["scenarios"]
    if len(mute := own[~own["tells"]]):
        yield said(
            "Local and the best entry lie less than five points apart, which tells little about who is ahead of Local, "
            f"in {listed(mute['scenario'])}.",
            "scenarios",
        )
    for row in tables["power"].to_dict("records"):
        name, entries = name_of(row["control"]), int(row["tested"]) + int(row["untested"])
        if math.isinf(float(row["smallest_found"])):
            needed = seeds_needed(max(1, entries))
            yield said(
                f"A test of {counted(entries, 'entry')} against {name} takes {scenarios(needed)} at least.", "power"
            )
            continue
        yield said(
            f"With {scenarios(row['scenarios'])} and their median spread of {row['median_spread']:.1f} points, a "
            f"difference to {name} is found with a probability of 80 % if it is {row['smallest_found']:.1f} points or "
            "more; smaller ones may be there.",
            "power",
        )
    against = tables["controls"]
    level = against[(against["verdict"] == "not told apart") & (against["control"] == "fedavg_ft")]
    if len(finite := level[level["needed"] < math.inf].sort_values("needed", kind="stable")):
        nearest, needed = finite["entry"].iloc[0], int(finite["needed"].iloc[0])
        yield said(
            f"Of those not told apart from FedAvg-FT, {nearest} would need the fewest scenarios for a difference such "
            f"as was seen to be found, {needed}.",
            "controls",
        )
