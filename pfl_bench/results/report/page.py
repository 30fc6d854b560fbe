"""One self-contained page from results frames: ``render(collect(folder))``."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any
from urllib.parse import urlencode

import jinja2
import pandas as pd
from markupsafe import Markup

from pfl_bench.metrics import PRIMARY
from pfl_bench.results.headline import headline
from pfl_bench.results.imports import with_imported
from pfl_bench.results.leaderboard import groups, leaderboard, named, with_test_error
from pfl_bench.results.matrix import cell_text, matrix
from pfl_bench.results.notes import of_rows
from pfl_bench.results.overall import Overall, overall
from pfl_bench.results.palette import Palette
from pfl_bench.results.primary import primaries
from pfl_bench.results.statistics.clients import client_error, for_whom, paired_gains
from pfl_bench.results.statistics.costs import TARGET_SHARE, cost_to_target, default_targets
from pfl_bench.results.statistics.paired import Comparison, accuracy_table, compare_with, reference_of
from pfl_bench.text import printable

from . import tables
from .asked import asked
from .collect import Results, finished
from .duels import duel_data
from .evaluations import evaluations
from .gallery import gallery, looks
from .runs import embedded, run_details

FOLDER = resources.files("pfl_bench.results.report")
SCRIPTS = ("state.js", "tables.js", "figures.js", "duels.js")
"""In this order, as one script."""


def render(results: Results, table: pd.DataFrame | None = None, over_all: Overall | None = None) -> str:
    """The page as text. Needs nothing but a browser: style, script, plotting library and data are in it.

    ``table``, ``over_all``: of the same runs, where they are known already.
    """
    from plotly.offline import get_plotlyjs

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
    scripts = ["\n".join(_asset(name) for name in SCRIPTS), get_plotlyjs()]
    return _environment().get_template("page.html.jinja").render(
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
        style=Markup(_asset("report.css")),
        script=Markup(scripts[0]),
        plotly=Markup(scripts[1]),
        policy=_policy(scripts),
        data=Markup(embedded(data)),
    )  # fmt: skip


def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined, finalize=_finalize,
    )  # fmt: skip
    found.filters |= {"breakable": _breakable, "place": _place, "cell_text": cell_text}
    return found


def _finalize(value: Any) -> Any:
    """What is shown has nothing hidden in it; our own style and scripts are as they are."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _breakable(text: str) -> Markup:
    """A long name that may break behind its hyphens and underscores."""
    return Markup("<wbr>").join(re.split(r"(?<=[-_@+])", printable(text)))


def _place(entry: str, scenario: str = "") -> str:
    """The permanent link to a scenario's row of an entry, or to the entry. JavaScript reads it as a query."""
    asked_for = {"scenario": scenario, "method": entry}
    return "#" + urlencode({key: value for key, value in asked_for.items() if value}, errors="replace")


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


def _policy(scripts: Sequence[str]) -> str:
    """Only these very scripts may run, and nothing may be fetched."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _asset(name: str) -> Any:
    return FOLDER.joinpath(name).read_text(encoding="utf-8")
