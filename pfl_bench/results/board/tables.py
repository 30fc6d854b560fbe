"""A board's tables, as frames: scenarios, who stands where, and every entry against the controls."""

import dataclasses
import math
from collections.abc import Mapping

import pandas as pd

from pfl_bench.results.statistics.common import complete
from pfl_bench.results.statistics.ranks import Ranking, rank, scenario_means
from pfl_bench.results.statistics.scenarios import (
    CONTROLS,
    differences,
    improvability,
    interval_of,
    seed_tables,
    smallest_found,
    versus,
    win_rates,
)

from .basis import Basis

TELLS = 5.0
"""Points between Local and the best from which a scenario is said to tell entries apart."""

FLOOR, TUNED = "local", "fedavg_ft"


def scenarios_table(basis: Basis) -> pd.DataFrame:
    """A row per scenario: kind of heterogeneity, entries and seeds with a result, Local's, FedAvg-FT's and the best
    entry's mean, the distance from Local to the best (``spread``), and whether it ``tells``."""
    rows = []
    for scenario, kind in basis.kinds.items():
        table = basis.tables[scenario]
        means = table.mean().sort_index()
        best = str(means.idxmax())
        local, tuned = (float(means.get(name, math.nan)) for name in (FLOOR, TUNED))
        spread = float(means[best]) - local
        deviation = float(table.std(ddof=1).median())
        rows.append(
            (scenario, kind, table.shape[1], len(table), local, tuned, best, float(means[best]), spread,
             deviation, spread >= TELLS)
        )  # fmt: skip
    columns = ["scenario", "kind", "entries", "seeds", "local", "fedavg_ft", "best_entry", "best", "spread",
               "median_std_over_seeds", "tells"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def ranking_of(basis: Basis) -> Ranking:
    """Mean ranks over the scenarios that all ranked entries have in common, and their critical difference."""
    return rank(scenario_means(basis.runs), "scenarios")


def standing_table(basis: Basis, ranking: Ranking) -> pd.DataFrame:
    """A row per entry: mean rank (NaN where it lacks a scenario that the others have), win rate in percent of all
    pairs, mean improvability in percent and over how many scenarios, and in how many it is first."""
    means = scenario_means(basis.runs)
    wins, behind = win_rates(means), improvability(means)
    firsts = means.eq(means.max(axis=1), axis=0).sum()
    table = pd.DataFrame(
        {
            "entry": means.columns.map(str),
            "family": [basis.families[str(entry)] for entry in means.columns],
            "scenarios": means.notna().sum().to_numpy(),
            "mean_rank": [ranking.mean_ranks.get(str(entry), math.nan) for entry in means.columns],
            "win_rate": [wins[str(entry)] for entry in means.columns],
            "improvability": behind.mean().to_numpy(),
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
        for each in versus(differences(basis.tables, control), control):
            row = dataclasses.asdict(each)
            low, high = row.pop("interval")
            rows.append(row | {"family": basis.families[each.entry], "low": low, "high": high, "verdict": each.verdict})
    columns = ["control", "entry", "family", "scenarios", "wins", "losses", "difference", "low", "high", "signed_rank",
               "sign_flip", "adjusted", "verdict", "needed", "note"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(["control", "difference"], ascending=[True, False], kind="stable", ignore_index=True)


def gains_table(basis: Basis) -> pd.DataFrame:
    """A row per entry and scenario: the mean difference to FedAvg-FT there, and the scenario's kind."""
    gains = differences(basis.tables, TUNED)
    gains = gains.drop(columns=TUNED, errors="ignore").rename_axis(index="scenario", columns="entry")
    table = gains.reset_index().melt(id_vars="scenario", value_name="difference").dropna(subset=["difference"])
    return table.assign(kind=table["scenario"].map(basis.kinds)).sort_values(["entry", "scenario"], ignore_index=True)


def power_table(controls: pd.DataFrame, basis: Basis) -> pd.DataFrame:
    """A row per control: over how many scenarios how many entries were tested, the median spread of their differences
    over scenarios, and the mean difference that a test of them finds with a probability of 80 %."""
    rows = []
    for control, own in controls.groupby("control", sort=True):
        tested = own[own["adjusted"].notna()]
        gains = differences(basis.tables, str(control))
        spread = float(gains[list(tested["entry"])].std(ddof=1).median()) if len(tested) else math.nan
        count = int(tested["scenarios"].max()) if len(tested) else 0
        found = smallest_found(spread, count, max(1, len(tested))) if len(tested) else math.inf
        rows.append((control, len(tested), len(own) - len(tested), count, spread, found))
    columns = ["control", "tested", "untested", "scenarios", "median_spread", "smallest_found"]
    return pd.DataFrame(rows, columns=columns)


def held_out_table(basis: Basis, standing: pd.DataFrame) -> pd.DataFrame:
    """A row per scenario that nobody tuned on and entry: mean and standard deviation over seeds, its rank there and
    on the board, and its difference to FedAvg-FT with Student's interval over seeds."""
    ranks: Mapping[str, float] = dict(zip(standing["entry"], standing["mean_rank"], strict=True))
    rows = []
    for scenario, table in seed_tables(basis.held_out).items():
        means = table.mean()
        places = means.rank(ascending=False)
        for entry in means.sort_values(ascending=False).index:
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
    means = scenario_means(basis.runs).T
    ranked, _ = complete(means.T)
    order = ranked.rank(axis=1, ascending=False).mean()
    return means.loc[sorted(means.index, key=lambda e: (order.get(e, math.inf), str(e)))].rename_axis("entry")
