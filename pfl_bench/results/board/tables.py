"""A board's tables, as frames: scenarios, who stands where, and every entry against the controls."""

import dataclasses
import math
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from pfl_bench.results.run_tables import read_trials
from pfl_bench.results.statistics.best import confidence_set, seeds_to_exclude
from pfl_bench.results.statistics.common import complete
from pfl_bench.results.statistics.ranks import Ranking, rank
from pfl_bench.results.statistics.scenarios import (
    CONTROLS,
    TELLS,
    differences,
    improvability,
    interval_of,
    versus,
    win_rates,
)
from pfl_bench.results.statistics.signed_rank import scenarios_needed, seeds_needed, smallest_found
from pfl_bench.results.statistics.transfer import in_one_edition

from .basis import Basis

FLOOR, TUNED = "local", "fedavg_ft"

ASKED = (1.0, 2.0, 5.0)
"""Points of a true difference, for each of which ``power`` says how many scenarios it would take."""

APART = "; "
"""Between names in one cell; the name of a variant has commas."""

LATE = 0.75
"""Share of the budget after which a curve should be flat."""


def scenarios_table(basis: Basis) -> pd.DataFrame:
    """A row per scenario: kind of heterogeneity, source of its data, entries and seeds, Local's, FedAvg-FT's and the
    best entry's mean, the distance from Local to the best (``spread``), whether it ``tells``, and at how many commits
    its runs were computed (0 where none is recorded)."""
    rows = []
    commits = _commits(basis.runs)
    for scenario, kind in basis.kinds.items():
        table = basis.tables[scenario]
        means = table.mean().sort_index()
        best = str(means.idxmax())
        local, tuned = (float(means.get(name, math.nan)) for name in (FLOOR, TUNED))
        spread = float(means[best]) - local
        deviation = float(table.std(ddof=1).median())
        rows.append(
            (scenario, kind, basis.sources[scenario], table.shape[1], len(table), local, tuned, best,
             float(means[best]), spread, deviation, spread >= TELLS, int(commits.get(scenario, 0)))
        )  # fmt: skip
    columns = ["scenario", "kind", "source", "entries", "seeds", "local", "fedavg_ft", "best_entry", "best", "spread",
               "median_std_over_seeds", "tells", "commits"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _commits(runs: pd.DataFrame) -> pd.Series:
    """By scenario."""
    return runs.groupby("scenario")["git_commit"].nunique() if "git_commit" in runs else pd.Series(dtype=int)


def ranking_of(basis: Basis) -> Ranking:
    """Mean ranks over the scenarios that all ranked entries have in common, and their critical difference."""
    return rank(basis.means, "scenarios")


def standing_table(basis: Basis, ranking: Ranking) -> pd.DataFrame:
    """A row per entry: mean rank (NaN where it lacks a scenario that the others have), win rate in percent of all
    pairs, median improvability in percent and over how many scenarios, and in how many it is first."""
    means = basis.means
    wins, behind = win_rates(means), improvability(means)
    firsts = means.eq(means.max(axis=1), axis=0).sum()
    table = pd.DataFrame(
        {
            "entry": means.columns.map(str),
            "family": [basis.families[str(entry)] for entry in means.columns],
            "scenarios": means.notna().sum().to_numpy(),
            "mean_rank": [ranking.mean_ranks.get(str(entry), math.nan) for entry in means.columns],
            "win_rate": [wins[str(entry)] for entry in means.columns],
            "improvability": behind.median().to_numpy(),
            "improvability_scenarios": behind.notna().sum().to_numpy(),
            "first_in": firsts.to_numpy(),
        }
    )
    return table.sort_values(["mean_rank", "entry"], na_position="last", ignore_index=True)


def ranks_table(ranking: Ranking) -> pd.DataFrame:
    """One row: Friedman's test over scenarios, Nemenyi's critical difference, and what could not be ranked."""
    groups = "; ".join(", ".join(group) for group in ranking.groups)
    row = (ranking.blocks, ranking.count, len(ranking.mean_ranks), ranking.p_value, ranking.critical_difference,
           groups, ranking.note, "; ".join(ranking.left_out))  # fmt: skip
    columns = ["over", "count", "entries", "friedman_p", "critical_difference", "not_told_apart", "note", "left_out"]
    return pd.DataFrame([row], columns=columns)


def controls_table(basis: Basis) -> pd.DataFrame:
    """A row per control and entry: ``statistics.scenarios.Versus``, the interval as ``low`` and ``high``."""
    rows = []
    for control in CONTROLS:
        for each in versus(differences(basis.tables, control), control, basis.sources):
            row = dataclasses.asdict(each)
            low, high = row.pop("interval")
            rows.append(row | {"family": basis.families[each.entry], "low": low, "high": high, "verdict": each.verdict})
    columns = ["control", "entry", "family", "scenarios", "wins", "losses", "difference", "low", "high", "mean",
               "signed_rank", "sign_flip", "by_source", "adjusted", "close", "verdict", "note"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(["control", "difference"], ascending=[True, False], kind="stable", ignore_index=True)


def gains_table(basis: Basis) -> pd.DataFrame:
    """A row per entry and scenario: the mean difference to FedAvg-FT there with Student's interval over seeds, in which
    test samples and what was tuned are fixed, and the scenario's kind."""
    rows = []
    for scenario, table in basis.tables.items():
        for entry in table.columns if TUNED in table else ():
            if entry != TUNED and len(gains := (table[entry] - table[TUNED]).dropna()):
                low, high = interval_of(gains.tolist())
                rows.append((scenario, str(entry), float(gains.mean()), low, high, basis.kinds[scenario]))
    columns = ["scenario", "entry", "difference", "low", "high", "kind"]
    return pd.DataFrame(rows, columns=columns).sort_values(["entry", "scenario"], ignore_index=True)


def power_table(controls: pd.DataFrame, basis: Basis) -> pd.DataFrame:
    """A row per control: over how many scenarios, from how many sources, how many entries were tested; the smallest,
    median and largest spread (standard deviation over scenarios) that an entry's differences have; of an entry with
    the median spread, the mean difference that a test finds with a probability of 80 %, and how many scenarios a true
    one of ``ASKED`` points would take; how many sources a test by source takes."""
    rows = []
    for control, own in controls.groupby("control", sort=True):
        tested = own[own["adjusted"].notna()]
        gains = differences(basis.tables, str(control))
        family = max(1, len(tested))
        spreads = gains[list(tested["entry"])].std(ddof=1)
        spread = float(spreads.median())
        count = int(tested["scenarios"].max()) if len(tested) else 0
        found = smallest_found(spread, count, family) if len(tested) else math.inf
        needed = [scenarios_needed(points, spread, family) for points in ASKED]
        sources = len({basis.sources[str(name)] for name in gains.index})
        rows.append((control, len(tested), len(own) - len(tested), count, sources, spreads.min(), spread,
                     spreads.max(), found, *needed, seeds_needed(family)))  # fmt: skip
    columns = ["control", "tested", "untested", "scenarios", "sources", "least_spread", "median_spread",
               "most_spread", "smallest_found"]  # fmt: skip
    columns += [f"needed_for_{points:g}" for points in ASKED]
    return pd.DataFrame(rows, columns=[*columns, "sources_needed"])


def held_out_table(basis: Basis, standing: pd.DataFrame) -> pd.DataFrame:
    """A row per scenario that nobody tuned on and entry: mean and standard deviation over seeds, its rank there and
    on the board, and its difference to FedAvg-FT with Student's interval over seeds."""
    ranks: Mapping[str, float] = dict(zip(standing["entry"], standing["mean_rank"], strict=True))
    rows = []
    for scenario, table in basis.held_out.items():
        means = table.mean()
        places = means.round(9).rank(ascending=False, method="min")
        for entry in means.sort_index().sort_values(ascending=False, kind="stable").index:
            gains = (table[entry] - table[TUNED]).dropna() if TUNED in table else pd.Series(dtype=float)
            low, high = interval_of(gains.tolist())
            rows.append(
                (scenario, entry, int(table[entry].notna().sum()), float(means[entry]),
                 float(table[entry].std(ddof=1)), float(places[entry]), ranks.get(str(entry), math.nan),
                 float(gains.mean()) if len(gains) else math.nan, low, high)
            )  # fmt: skip
    columns = ["scenario", "entry", "seeds", "mean", "std", "rank", "mean_rank_on_board", "difference_to_fedavg_ft",
               "low", "high"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def means_table(basis: Basis) -> pd.DataFrame:
    """Mean over seeds, a row per entry and a column per scenario; empty cells are in ``gaps``."""
    means = basis.means.T
    ranked, _ = complete(means.T)
    order = ranked.rank(axis=1, ascending=False).mean()
    return means.loc[sorted(means.index, key=lambda e: (order.get(e, math.inf), str(e)))].rename_axis("entry")


def best_sets_table(basis: Basis) -> pd.DataFrame:
    """A row per scenario: its 95 % confidence set of the best, over seeds (``statistics.best``): how many entries and
    which, and how many seeds it takes to leave anybody out."""
    rows = []
    for scenario, table in basis.tables.items():
        found = confidence_set(table)
        kept = sorted(entry for entry, standing in found.items() if not standing.excluded)
        rows.append((scenario, len(table), seeds_to_exclude(), len(found), len(kept), APART.join(kept)))
    columns = ["scenario", "seeds", "seeds_needed", "entries", "may_be_best", "which"]
    return pd.DataFrame(rows, columns=columns)


def plateau_table(basis: Basis) -> pd.DataFrame:
    """A row per entry and scenario: the best accuracy on validation so far, gained in the last quarter of the budget,
    in points, mean over seeds; what is far above 0 was still rising when the budget ended."""
    rows = basis.curves[basis.curves["split"] == "validation"]
    if rows.empty:
        return pd.DataFrame(columns=["entry", "scenario", "gained_late"])
    whole = rows["visits"].astype(float) / rows.groupby("scenario")["visits"].transform("max").astype(float)
    best = rows.groupby("run_id")["accuracy"].max()
    before = rows[whole <= LATE + 1e-9].groupby("run_id")["accuracy"].max()
    runs = rows.drop_duplicates("run_id").set_index("run_id")[["entry", "scenario"]]
    table = runs.assign(gained_late=(best - before).astype(float)).groupby(["entry", "scenario"])["gained_late"].mean()
    return table.reset_index()


TRIALS = "tuning.csv"


def trials_of(folder: Path) -> pd.DataFrame | None:
    """The trials beside a suite's results, None where there are none that can be read."""
    try:
        found = read_trials(folder / TRIALS)
    except (OSError, ValueError):
        return None
    return found if {"scenario", "method", "seed", "status", "config"} <= set(found.columns) else None


def trials_table(trials: pd.DataFrame | None, seeds: Collection[int] = ()) -> pd.DataFrame:
    """A row per method: in how many scenarios it was tuned (of editions one counts), the fewest and the most points
    that it had in one, tuning seeds, how many of these are among ``seeds``, the runs' own, its trials (a point at a
    seed), and those that did not finish. ``tune`` has points beyond the edges of grids where these are best."""
    columns = ["method", "scenarios", "fewest_points", "most_points", "seeds", "seeds_of_runs", "trials", "unfinished"]
    if trials is None or trials.empty:
        return pd.DataFrame(columns=columns)
    trials = in_one_edition(trials)
    points = trials.groupby(["method", "scenario"])["config"].nunique()
    own = trials.groupby("method")
    table = pd.DataFrame(
        {
            "scenarios": own["scenario"].nunique(),
            "fewest_points": points.groupby("method").min(),
            "most_points": points.groupby("method").max(),
            "seeds": own["seed"].nunique(),
            "seeds_of_runs": own["seed"].agg(lambda used: len(set(used) & set(seeds))),
            "trials": own.size(),
            "unfinished": own["status"].agg(lambda states: int((states != "finished").sum())),
        }
    )
    return table.reset_index()[columns]
