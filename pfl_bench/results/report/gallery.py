"""Which figures a report has: by name and scenario; what concerns all scenarios at once is under ""."""

from collections.abc import Mapping

import pandas as pd

from pfl_bench.results.palette import Palette
from pfl_bench.results.primary import ylabel
from pfl_bench.results.statistics.gaps import gaps
from pfl_bench.results.statistics.ranks import Ranking

from . import figures
from .collect import Results
from .plotting import Figure

ByScenario = dict[str, Figure | None]
NAMES = ("curves-visits", "curves-bytes", "distributions", "pareto", "novel", "partition")


def gallery(
    results: Results, board: pd.DataFrame, shares: pd.DataFrame, ranks: Ranking, palette: Palette
) -> dict[str, ByScenario]:
    """``board``: the leaderboard with ``entry``; ``shares``: as ``statistics.clients.for_whom``. None for what the runs
    of a scenario did not record."""
    found: dict[str, ByScenario] = {"ranks": {"": figures.critical_difference(ranks, palette)}}
    found |= {name: {} for name in NAMES}
    novel = gaps(results.runs, results.novel)
    tested = results.history[results.history["split"] == "test"]
    history = {str(scenario): own for scenario, own in tested.groupby("scenario")}
    for scenario in dict.fromkeys(results.runs["scenario"]):
        own = _of(results.runs, scenario)
        what = ylabel(own)
        for name, figure in _curves(history.get(str(scenario)), own, palette, what).items():
            found[name][scenario] = figure
        clients, rows, those = _of(shares, scenario), _of(board, scenario), _of(novel, scenario)
        found["distributions"][scenario] = figures.distributions(clients, palette) if len(clients) else None
        found["pareto"][scenario] = figures.pareto(rows, palette, what) if rows["accuracy_mean"].notna().any() else None
        found["novel"][scenario] = figures.novel_clients(_all_samples(those), palette) if len(those) else None
        holdings = results.partitions.get(scenario)
        found["partition"][scenario] = None if holdings is None else figures.partition(holdings)
    return found


def looks(palette: Palette, entries: Mapping[str, object]) -> dict[str, dict[str, str]]:
    """By entry its colour, dash and symbol, for a legend."""
    return {entry: palette.line(entry) | palette.marker(entry) for entry in entries}


def _of(frame: pd.DataFrame, scenario: str) -> pd.DataFrame:
    return frame[frame["scenario"] == scenario]


def _curves(history: pd.DataFrame | None, runs: pd.DataFrame, palette: Palette, what: str) -> dict[str, Figure | None]:
    names = {"curves-visits": "visits", "curves-bytes": "bytes"}
    if history is None:
        return dict.fromkeys(names)
    status = history["run_id"].map(runs.set_index("run_id")["status"])
    points, going = figures.averaged(history[status == "finished"]), history[status == "unfinished"]
    return {name: figures.curves(points, going, axis, palette, what) for name, axis in names.items()}


def _all_samples(novel: pd.DataFrame) -> pd.DataFrame:
    """Each novel client with the most labelled samples it was given."""
    full = novel[novel["samples"].astype(str) == "all"]
    return full if len(full) else novel
