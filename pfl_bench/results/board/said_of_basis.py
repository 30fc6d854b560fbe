"""What is said of what was compared: entries, scenarios, tuning, and what has no result."""

from collections.abc import Iterator

import pandas as pd

from pfl_bench.results.statistics.scenarios import CONTROLS
from pfl_bench.text import agreeing, counted, listed

from .basis import LOST
from .words import Tables, name_of, said, scenarios, span


def compared(tables: Tables) -> Iterator[str]:
    """What took part, and what has no result."""
    own, gaps = tables["scenarios"], tables["gaps"]
    if own.empty:
        yield said("On no scenario that claims may rest on has an entry finished every seed.", "scenarios")
    else:
        yield from _took_part(own, len(tables["standing"]))
    if len(trials := tables["trials"]):
        yield from _tuned(trials)
    for (status, reason), part in gaps.groupby(["status", "reason"], sort=True):
        cells = [f"{row.entry} on {row.scenario}" for row in part.itertuples()]
        why = f" ({reason})" if reason else ""
        yield said(f"Without all of their results, {status}{why}: {listed(cells, most=len(cells))}.", "gaps")
    if any(set(str(status).split(", ")) & set(LOST) for status in gaps["status"]):
        yield said("A run that diverged or failed counts as the last of its scenario and seed.", "gaps")
    for told in tables["left_out"]["left_out"]:
        yield said(f"Left out: {told}.", "left_out")
    entries, begun = set(tables["standing"]["entry"]), set(gaps[gaps["seeds"] > 0]["entry"])
    for control in CONTROLS:
        if control not in entries:
            instead = sorted(entry for entry in entries if entry.startswith(f"{control} ("))
            lacking = "has every seed of no scenario" if control in begun else "took no part"
            how = f"took part as {listed(instead)} only" if instead else lacking
            yield said(f"{name_of(control)} {how}: nothing is tested against it.", "standing")


def _took_part(own: pd.DataFrame, entries: int) -> Iterator[str]:
    """How many entries on which scenarios, and what those have in common."""
    seeds = sorted(set(own["seeds"]))
    kinds = ", ".join(f"{kind} {count}" for kind, count in own["kind"].value_counts().sort_index().items())
    yield said(
        f"{counted(entries, 'entry')} on {scenarios(len(own))}, "
        f"{span(seeds)} {agreeing(seeds[-1], 'seed', 'seeds')} each; "
        f"by kind of heterogeneity: {kinds}.",
        "scenarios",
    )
    sources = own["source"].value_counts()
    shared = [f"{source} {count}" for source, count in sources.sort_index().items() if count > 1]
    if shared:
        others = "; the others one each" if len(shared) < len(sources) else ""
        yield said(
            f"Their data come from {counted(len(sources), 'source')} ({', '.join(shared)}{others}): "
            "scenarios of one source share its test samples and are no independent repetitions.",
            "scenarios",
        )
    commits = sorted(set(own["commits"]))
    if commits and commits[-1] > 1:
        yield said(
            f"The runs of a scenario were computed at {span(commits)} commits of this program, those of two "
            "entries perhaps at different ones; `results validate` says of runs with their folders whether code "
            "between may give other numbers.",
            "scenarios",
        )


def _tuned(trials: pd.DataFrame) -> Iterator[str]:
    """With how many settings, at how many seeds, whether these are the board's own too, and which trials broke down."""
    fewest, most = int(trials["fewest_points"].min()), int(trials["most_points"].max())
    settings, wider = (f"{fewest} to {most}", "; a grid was widened where its edge was best") if fewest < most else (
        str(fewest), ""
    )  # fmt: skip
    seeds = f"{span(sorted(set(trials['seeds'])))} {agreeing(int(trials['seeds'].max()), 'seed', 'seeds')}"
    own = "of their own" if not trials["seeds_of_runs"].any() else "that are seeds of the runs below, too"
    yield said(f"Tuned with {settings} settings per entry and scenario at {seeds} {own}, on validation data{wider}.",
               "trials")  # fmt: skip
    if len(broken := trials[trials["unfinished"] > 0].sort_values("unfinished", ascending=False, kind="stable")):
        who = [f"{row.method} ({row.unfinished})" for row in broken.itertuples()]
        yield said(
            f"Of {counted(int(trials['trials'].sum()), 'trial')} (a setting at a seed) "
            f"{broken['unfinished'].sum()} diverged, failed or were skipped: {listed(who, most=len(who))}.",
            "trials",
        )
