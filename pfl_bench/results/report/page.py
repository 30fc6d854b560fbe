"""One self-contained page from results frames: ``render(collect(folder))``."""

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from pfl_bench.metrics import PRIMARY
from pfl_bench.results.imports import with_imported
from pfl_bench.results.leaderboard import KEYS, leaderboard, with_test_error
from pfl_bench.results.notes import of_rows
from pfl_bench.results.overall import overall
from pfl_bench.results.palette import Palette
from pfl_bench.results.primary import primaries, ylabel
from pfl_bench.results.statistics.clients import client_error, for_whom, paired_gains
from pfl_bench.results.statistics.costs import TARGET_SHARE, cost_to_target, default_targets
from pfl_bench.results.statistics.gaps import gaps
from pfl_bench.results.statistics.paired import Comparison, accuracy_table, compare_with, reference_of
from pfl_bench.results.statistics.ranks import Ranking
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
    over_all, comparisons = overall(results.runs), _comparisons(done.runs)
    ranks = over_all.ranking
    shares = for_whom(done.clients)
    targets = default_targets(done.history[done.history["split"] == "validation"])
    parts = [
        tables.leaderboard_table(board),
        tables.comparisons_table(comparisons, _client_errors(done, comparisons)),
        tables.aggregates_table(over_all),
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
        board_notes=[
            f"{scenario}: {note}" for scenario, part in board.groupby("scenario", sort=False) for note in of_rows(part)
        ],
        overall_notes=over_all.notes,
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
    table = with_imported(leaderboard(results.runs), results.imported)
    if table.empty:
        return pd.DataFrame(columns=[*table.columns, "entry", "group", "scenario_hash"])
    names = _grouped(results.runs).set_index("run_id")[["entry", "group", "scenario_hash"]]
    first = table.assign(run_id=table["runs"].str.split(" ").str[0])
    return with_test_error(first.join(names, on="run_id").drop(columns="run_id"), results.clients)


def _comparisons(runs: pd.DataFrame) -> dict[str, list[Comparison]]:
    found = {}
    for scenario in dict.fromkeys(runs["scenario"]):
        table = accuracy_table(runs, scenario)
        reference = reference_of(table.columns)
        found[scenario] = compare_with(table, reference) if reference is not None else []
    return found


def _client_errors(done: Results, comparisons: dict[str, list[Comparison]]) -> dict[tuple[str, str], float]:
    """What the same differences have as an error from the clients and test samples at hand, where they are of
    accuracies."""
    found = {}
    others = set(done.runs.loc[primaries(done.runs) != PRIMARY, "scenario"])
    for scenario, each in comparisons.items():
        if each and scenario not in others:
            for entry, (gains, samples) in paired_gains(done.clients, scenario, each[0].reference).items():
                found[scenario, entry] = client_error(gains, samples)
    return found


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
        what = ylabel(results.runs[results.runs["scenario"] == scenario])
        for axis in ("visits", "bytes"):
            found[f"curves-{axis}"][scenario] = figures.curves(ended, going, axis, palette, what) if len(own) else None
        clients, rows = shares[shares["scenario"] == scenario], board[board["scenario"] == scenario]
        found["distributions"][scenario] = figures.distributions(clients, palette) if len(clients) else None
        found["pareto"][scenario] = figures.pareto(rows, palette, what) if rows["accuracy_mean"].notna().any() else None
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
