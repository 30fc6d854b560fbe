"""What is said of ideas: when a family pays, for whom, at what cost; and what the board cannot tell."""

import math
from collections.abc import Iterator

from pfl_bench.results.statistics.best import LEVEL
from pfl_bench.results.statistics.scenarios import MARGIN
from pfl_bench.results.statistics.signed_rank import seeds_needed
from pfl_bench.text import NAMED, agreeing, counted, listed

from .factors import ALIKE, ALL, OTHER
from .pays import DEARER
from .tables import APART, ASKED, TUNED
from .words import Tables, name_of, points, said, scenarios


def factors(tables: Tables) -> Iterator[str]:
    """Families against FedAvg-FT over all scenarios, tested; and the foremost of each kind, described."""
    own = tables["factors"]
    own = own[own["control"] == "fedavg_ft"]
    whole = own[own["kind"] == ALL]
    tested = whole[whole["adjusted"].notna()]
    for row in tested[tested["adjusted"] <= 1 - LEVEL].to_dict("records"):
        way = "above" if row["direction"] > 0 else "below"
        yield said(
            f"The median entry of the family {row['family']!r} is {way} FedAvg-FT (shift {points(row)}, over "
            f"{scenarios(row['scenarios'])}; signed ranks, Holm over families).",
            "factors",
        )
    if len(level := tested[tested["adjusted"] > 1 - LEVEL]):
        yield said(f"Families that are not told apart from FedAvg-FT: {listed(level['family'])}.", "factors")
    if len(untested := whole[whole["adjusted"].isna()]):
        fewest = seeds_needed(len(whole))
        yield said(
            f"Families that differ from FedAvg-FT in fewer scenarios than the {fewest} that a test takes: "
            f"{listed(untested['family'])}.",
            "factors",
        )
    for kind, part in own[own["kind"] != ALL].groupby("kind", sort=False):
        shown = part["difference"].round(1)
        first = part[shown == shown.max()].sort_values("difference", ascending=False, kind="stable")
        best = part.sort_values("best_difference", ascending=False, kind="stable").iloc[0]
        name = "no heterogeneity" if kind == ALIKE else str(kind)
        yield said(
            f"Under {name} ({scenarios(best['scenarios'])}; a description, no test) the median entry comes out highest "
            f"against FedAvg-FT in the {agreeing(len(first), 'family', 'families')} "
            f"{listed(map(repr, first['family']))}, {shown.max():+.1f} points; the best entry of all there is "
            f"{best['best_entry']}, {best['best_difference']:+.1f}.",
            "factors",
        )


def unhelpful(tables: Tables) -> Iterator[str]:
    """What personalising costs where all clients are alike: one model for all against it."""
    gains = tables["gains"]
    families = tables["standing"].set_index("entry")["family"]
    for scenario, own in gains[gains["kind"] == ALIKE].groupby("scenario", sort=True):
        shared = own[own["entry"] == "fedavg"]
        personal = own[~own["entry"].map(families).isin(["one model", "one model, fine-tuned", "alone", OTHER])]
        if len(shared) and len(personal):
            one, middle = shared.iloc[0].to_dict(), float(personal["difference"].median())
            interval = "" if math.isnan(float(one["low"])) else " (Student's interval over seeds)"
            yield said(
                f"On {scenario}, where all clients are alike, FedAvg is {points(one)} from FedAvg-FT{interval}, and "
                f"the median of {counted(len(personal), 'entry')} that keep something on "
                f"clients or serve several models {middle:+.1f}: {middle - one['difference']:+.1f} from FedAvg.",
                "gains",
            )


def hurt(tables: Tables) -> Iterator[str]:
    """With whom the fewest and the most clients do worse than alone, and than under one model for all."""
    table = tables["hurt"]
    for baseline, name in (("local", "Local"), ("fedavg", "FedAvg")):
        worse, better = f"worse_than_{baseline}", f"better_than_{baseline}"
        known = table[table[worse].notna() & (table["scenarios"] == table["scenarios"].max())]
        if known.empty:
            continue
        ordered = known.sort_values([worse, better, "entry"], ascending=[True, False, True], kind="stable")
        least, most = ordered.iloc[0], ordered.iloc[-1]
        if least[worse] == most[worse]:
            yield said(f"No entry has more clients less accurate than under {name} than another.", "hurt")
            continue
        yield said(
            f"Clients less accurate on their test samples than under {name}, beside those that are more accurate: "
            f"fewest with {least['entry']} ({least[worse]:.0f} % and {least[better]:.0f} %), most with {most['entry']} "
            f"({most[worse]:.0f} % and {most[better]:.0f} %); means over scenarios, not tested.",
            "hurt",
        )


def costs(tables: Tables) -> Iterator[str]:
    """Who never pays for what it takes, and who is on the front of rank against bytes."""
    own = tables["costs"]
    if TUNED not in set(own["entry"]):
        return
    told = {
        "pays": "Better than FedAvg-FT over scenarios",
        "pays in places": "Not that, but above FedAvg-FT in some scenarios where clients differ (in brackets how "
        "many), by more than the noise of seeds (Student's test, Holm over all entries and scenarios; test samples "
        "and what was tuned are the same at all seeds)",
        "never pays": f"Dearer than FedAvg-FT in bytes, gradients or forward passes ({DEARER:g} times and more), "
        "cheaper by as much in none of them, above it in no scenario where clients differ (even with Holm's correction "
        f"over its own scenarios only), and with an interval over scenarios that ends below {MARGIN:g} point",
        "worse": "Others dearer than FedAvg-FT in something by as much, and shown to be worse over scenarios",
        "cannot tell": "Dearer than FedAvg-FT in something by as much, and it cannot be told whether they pay",
    }
    for verdict, words in told.items():
        found = own[own["verdict"] == verdict]
        who = [str(entry) for entry in found["entry"]]
        if verdict == "pays in places":
            who = [f"{entry} ({places})" for entry, places in zip(who, found["above"], strict=True)]
        yield said(f"{words}: {listed(who, most=len(who)) if who else 'no entry'}.", "costs")
    if len(front := own[own["on_front"]]["entry"]):
        yield said(
            f"No entry whose runs move no more bytes (`megabytes`) ranks better than {listed(front, most=len(front))}.",
            "costs",
        )


def limits(tables: Tables) -> Iterator[str]:
    """Scenarios that tell little, what the tests would find, and how many scenarios more would take."""
    own = tables["scenarios"]
    if len(mute := own[~own["tells"] & own["spread"].notna()]):
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
        asked = ", ".join(f"{row[f'needed_for_{points_:g}']:.0f} for {points_:g}" for points_ in ASKED)
        yield said(
            f"The median entry's differences from {name} spread by {row['median_spread']:.1f} points over scenarios "
            f"(standard deviation; others' by {row['least_spread']:.1f} to {row['most_spread']:.1f}). With "
            f"{scenarios(row['scenarios'])} a shift of such an entry is found with a probability of 80 % if it is "
            f"{row['smallest_found']:.1f} points or more, of a steadier one from less; smaller ones may be there. "
            f"Scenarios that it would take, by points of a true shift: {asked}.",
            "power",
        )
        if int(row["sources"]) < int(row["sources_needed"]):
            yield said(
                f"With sources of data instead of scenarios as repetitions nothing could be claimed against {name}: a "
                f"test of {counted(int(row['tested']), 'entry')} takes {row['sources_needed']} of them, and there are "
                f"{row['sources']}. What is said holds for these scenarios.",
                "power",
            )
    sets = tables["best_sets"]
    few = sets[sets["seeds"] < sets["seeds_needed"]]
    if len(few):
        yield said(
            f"Within a scenario nobody can be left out of those who may be its best with fewer than "
            f"{few['seeds_needed'].iloc[0]} seeds: {listed(few['scenario'], most=len(few))}.",
            "best_sets",
        )
    for row in sets[sets["seeds"] >= sets["seeds_needed"]].to_dict("records"):
        who = str(row["which"]).split(APART)
        of, these = counted(row["entries"], "entry"), listed(who) if len(who) <= NAMED else len(who)
        if len(who) == row["entries"]:
            if len(who) > 1:
                none = f"nobody can be left out of those who may be the best, with {counted(row['seeds'], 'seed')}"
                yield said(f"On {row['scenario']} {none}.", "best_sets")
            continue
        yield said(
            f"On {row['scenario']}, of {of} only {these} may be the best (95 % confidence set over "
            f"{counted(row['seeds'], 'seed')}).",
            "best_sets",
        )
