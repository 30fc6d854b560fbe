"""One self-contained page from results frames: ``render(collect(folder))``."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import pandas as pd
from markupsafe import Markup

from pfl_bench.metrics import PRIMARY
from pfl_bench.results.headline import headline
from pfl_bench.results.imports import with_imported
from pfl_bench.results.leaderboard import groups, leaderboard, named, with_test_error
from pfl_bench.results.matrix import matrix
from pfl_bench.results.notes import of_rows
from pfl_bench.results.overall import Overall, overall
from pfl_bench.results.palette import Palette
from pfl_bench.results.primary import primaries
from pfl_bench.results.statistics.clients import client_error, for_whom, paired_gains
from pfl_bench.results.statistics.costs import TARGET_SHARE, cost_to_target, default_targets
from pfl_bench.results.statistics.paired import Comparison, accuracy_table, compare_with, reference_of

from . import tables
from .asked import asked
from .collect import Results, finished
from .duels import duel_data
from .evaluations import evaluations
from .gallery import gallery, looks
from .runs import embedded, run_details
from .templates import environment

FOLDER = resources.files("pfl_bench.results.report")
SCRIPTS = ("state.js", "tables.js", "figures.js", "duels.js")
"""In this order, as one script."""
STYLES = ("colours.css", "report.css")
"""In this order, as one style sheet; the site's pages have the same colours."""


@dataclass(frozen=True)
class Within:
    """The site that a page is part of. ``plotly``: where the plotting library's file is; ``links``: by title, what
    leads to other pages. All are relative to the page."""

    plotly: str
    links: Mapping[str, str]


def plotting_library() -> str:
    """Plotly's script, 4.8 MB."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def render(
    results: Results,
    table: pd.DataFrame | None = None,
    over_all: Overall | None = None,
    within: Within | None = None,
) -> str:
    """The page as text. Needs nothing but a browser: style, script, plotting library and data are in it.

    ``table``, ``over_all``: of the same runs, where they are known already. ``within``: where the page is one of many,
    which have the plotting library in common.
    """
    done = finished(results)
    table = with_imported(leaderboard(results.runs), results.imported) if table is None else table
    board = named(table, results.runs)
    board = with_test_error(board, results.clients)
    over_all = overall(results.runs) if over_all is None else over_all
    accuracies = {scenario: accuracy_table(done.runs, scenario) for scenario in dict.fromkeys(done.runs["scenario"])}
    comparisons = _comparisons(accuracies)
    grid, shares, palette = matrix(board, over_all), for_whom(done.clients), Palette(results.runs["entry"])
    validated = done.history[done.history["split"] == "validation"]
    parts = [
        tables.leaderboard_table(board, grid),
        tables.comparisons_table(comparisons, _client_errors(done, comparisons)),
        tables.aggregates_table(over_all),
        tables.for_whom_table(shares),
        tables.costs_table(cost_to_target(validated, default_targets(validated))),
    ]
    entries = sorted(set(results.runs["entry"]))
    data = {
        "runs": run_details(results.runs.assign(group=groups(results.runs))),
        "figures": gallery(results, board, shares, over_all.ranking, palette),
        "looks": looks(palette, dict.fromkeys(entries)),
        "evaluations": evaluations(results.history),
        "duels": duel_data(accuracies, [column.scenario for column in grid.counting]),
        "rows": grid.rows,
    }
    scripts = ["\n".join(_asset(name) for name in SCRIPTS), *([] if within else [plotting_library()])]
    return environment(_asset).get_template("page.html.jinja").render(
        title=results.title,
        headline=headline(results.runs, board, grid, over_all),
        matrix=grid,
        tables={table.id: table for table in parts},
        scenarios=list(dict.fromkeys(results.runs["scenario"])),
        entries=entries,
        asked=asked(results.scenarios),
        counts=results.runs["status"].value_counts().to_dict(),
        newest=max((str(t) for t in results.runs["time"].dropna()), default=""),
        ranking=over_all.ranking,
        board_notes=[
            f"{scenario}: {note}" for scenario, part in board.groupby("scenario", sort=False) for note in of_rows(part)
        ],
        overall_notes=over_all.notes,
        novel=bool(len(results.novel)),
        raw=data["evaluations"] is not None,
        target_share=round(100 * TARGET_SHARE),
        problems=results.problems,
        style=Markup("".join(map(_asset, STYLES))),
        script=Markup(scripts[0]),
        within=within,
        plotly=Markup("".join(scripts[1:])),
        policy=_policy(scripts, beside=within is not None),
        data=Markup(embedded(data)),
    )  # fmt: skip


def _comparisons(accuracies: Mapping[str, pd.DataFrame]) -> dict[str, list[Comparison]]:
    found = {}
    for scenario, table in accuracies.items():
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


def _policy(scripts: Sequence[str], beside: bool) -> str:
    """Only these very scripts may run, and nothing may be fetched; ``beside``: but for scripts of the page's own place,
    which from disk is called ``file:``."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join([*(f"'sha256-{value}'" for value in hashes), *(["'self'", "file:"] if beside else [])])
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _asset(name: str) -> Any:
    return FOLDER.joinpath(name).read_text(encoding="utf-8")
