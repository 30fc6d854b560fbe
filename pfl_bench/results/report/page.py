"""One self-contained page from results frames: ``render(collect(folder))``."""

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from pfl_bench.results.leaderboard import KEYS, leaderboard
from pfl_bench.results.palette import Palette
from pfl_bench.results.statistics.aggregates import aggregate
from pfl_bench.results.statistics.clients import for_whom, paired_gains
from pfl_bench.results.statistics.costs import TARGET_SHARE, cost_to_target, default_targets
from pfl_bench.results.statistics.gaps import gaps
from pfl_bench.results.statistics.paired import (
    Comparison,
    Interval,
    accuracy_table,
    best_entry,
    bootstrap_over_clients,
    compare_with,
)
from pfl_bench.results.statistics.ranks import Ranking, ranking
from pfl_bench.text import printable

from . import figures, tables
from .collect import Results, finished
from .runs import embedded, run_details

FOLDER = resources.files("pfl_bench.results.report")


def render(results: Results) -> str:
    """The page as text. Needs nothing but a browser: style, script, plotting library and data are in it."""
    from plotly.offline import get_plotlyjs

    done = finished(results)
    board = _board(results)
    ranks, comparisons = ranking(done.runs), _comparisons(done.runs)
    reference = _reference(done.runs)
    shares = for_whom(done.clients)
    targets = default_targets(done.history[done.history["split"] == "validation"])
    parts = [
        tables.leaderboard_table(board),
        tables.comparisons_table(comparisons, _over_clients(done, comparisons)),
        tables.aggregates_table(aggregate(done.runs, reference), ranks.mean_ranks, reference),
        tables.for_whom_table(shares),
        tables.costs_table(cost_to_target(done.history[done.history["split"] == "validation"], targets)),
    ]
    data = {"runs": run_details(_grouped(results.runs)), "figures": _figures(results, board, shares, ranks)}
    scripts = [_asset("report.js"), get_plotlyjs()]
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined, finalize=_finalize,
    )  # fmt: skip
    return environment.get_template("page.html.jinja").render(
        title=results.title,
        tables={table.id: table for table in parts},
        scenarios=list(dict.fromkeys(results.runs["scenario"])),
        entries=sorted(set(results.runs["entry"])),
        counts=results.runs["status"].value_counts().to_dict(),
        newest=max((str(t) for t in results.runs["time"].dropna()), default=""),
        ranking=ranks,
        ranking_note=_ranking_note(ranks),
        novel=bool(len(results.novel)),
        target_share=round(100 * TARGET_SHARE),
        problems=results.problems,
        style=Markup(_asset("report.css")),
        script=Markup(scripts[0]),
        plotly=Markup(scripts[1]),
        policy=_policy(scripts),
        data=Markup(embedded(data)),
    )  # fmt: skip


def _finalize(value: Any) -> Any:
    """What is shown has nothing hidden in it; our own style and scripts are as they are."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _grouped(runs: pd.DataFrame) -> pd.DataFrame:
    """``group``: the leaderboard row that a run belongs to."""
    return runs.assign(group=["|".join(map(str, own)) for own in runs[KEYS].itertuples(index=False)])


def _board(results: Results) -> pd.DataFrame:
    table = leaderboard(results.runs)
    if table.empty:
        return pd.DataFrame(columns=[*table.columns, "entry", "group", "scenario_hash"])
    names = _grouped(results.runs).set_index("run_id")[["entry", "group", "scenario_hash"]]
    first = table.assign(run_id=table["runs"].str.split(" ").str[0])
    return first.join(names, on="run_id").drop(columns="run_id")


def _comparisons(runs: pd.DataFrame) -> dict[str, list[Comparison]]:
    found = {}
    for scenario in dict.fromkeys(runs["scenario"]):
        table = accuracy_table(runs, scenario)
        best = best_entry(table)
        found[scenario] = compare_with(table, best) if best is not None else []
    return found


def _over_clients(done: Results, comparisons: dict[str, list[Comparison]]) -> dict[tuple[str, str], Interval]:
    """Bootstrap intervals of the same differences, over seeds and clients within them."""
    found = {}
    for scenario, each in comparisons.items():
        if each:
            for entry, (gains, samples) in paired_gains(done.clients, scenario, each[0].reference).items():
                found[scenario, entry] = bootstrap_over_clients(gains, samples)
    return found


def _reference(runs: pd.DataFrame) -> str:
    """Whom to beat: FedAvg, where it took part; else the first entry by name."""
    names = sorted(set(runs["entry"]))
    return "fedavg" if "fedavg" in names or not names else names[0]


def _ranking_note(ranks: Ranking) -> str:
    if ranks.p_value is None:
        return f"No test of ranks: {ranks.note}."
    text = f"Friedman's test over {ranks.count} {ranks.blocks}: p = {ranks.p_value:.2g}."
    if not ranks.blocks.startswith("scenarios"):
        text += " Too few scenarios for a test over them, so this speaks for one scenario only."
    return text + (f" {ranks.note}." if ranks.note else "")


def _figures(
    results: Results, board: pd.DataFrame, shares: pd.DataFrame, ranks: Ranking
) -> dict[str, dict[str, figures.Figure | None]]:
    """By figure and scenario; what concerns all scenarios at once is under ""."""
    palette = Palette(list(results.runs["entry"]))
    test = results.history[results.history["split"] == "test"]
    running = set(results.runs.loc[results.runs["status"] == "unfinished", "run_id"])
    over = set(results.runs.loc[results.runs["status"] == "finished", "run_id"])
    novel = gaps(results.runs, results.novel)
    found: dict[str, dict[str, figures.Figure | None]] = {
        "ranks": {"": figures.critical_difference(ranks, palette)},
        **{name: {} for name in ("curves-visits", "curves-bytes", "distributions", "pareto", "novel", "partition")},
    }
    for scenario in dict.fromkeys(results.runs["scenario"]):
        own = test[test["scenario"] == scenario]
        ended, going = own[own["run_id"].isin(over)], own[own["run_id"].isin(running)]
        for axis in ("visits", "bytes"):
            found[f"curves-{axis}"][scenario] = figures.curves(ended, going, axis, palette) if len(own) else None
        clients, rows = shares[shares["scenario"] == scenario], board[board["scenario"] == scenario]
        found["distributions"][scenario] = figures.distributions(clients, palette) if len(clients) else None
        found["pareto"][scenario] = figures.pareto(rows, palette) if rows["accuracy_mean"].notna().any() else None
        those = novel[novel["scenario"] == scenario]
        found["novel"][scenario] = figures.novel_clients(_all_samples(those), palette) if len(those) else None
        holdings = results.partitions.get(scenario)
        found["partition"][scenario] = None if holdings is None else figures.partition(holdings)
    return found


def _all_samples(novel: pd.DataFrame) -> pd.DataFrame:
    """Each novel client with the most labelled samples it was given."""
    full = novel[novel["samples"].astype(str) == "all"]
    return full if len(full) else novel


def _policy(scripts: Sequence[str]) -> str:
    """Only these very scripts may run, and nothing may be fetched."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _asset(name: str) -> Any:
    return FOLDER.joinpath(name).read_text(encoding="utf-8")
