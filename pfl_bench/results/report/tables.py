"""The report's tables, as data that the page lays out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from pfl_bench.results.cells import Cell, Heading, interval, number
from pfl_bench.results.display import ACCURACY, marks, place_of, report_columns
from pfl_bench.results.overall import Overall
from pfl_bench.results.statistics.clients import BASELINES
from pfl_bench.results.statistics.paired import Comparison


@dataclass(frozen=True)
class TableRow:
    """``group`` leads to the runs behind a row, where it has any."""

    scenario: str
    entry: str
    cells: Sequence[Cell]
    group: str = ""


@dataclass(frozen=True)
class Table:
    """A table that the page can sort and filter; its first column names the rows."""

    id: str
    caption: str
    columns: Sequence[Heading]
    rows: Sequence[TableRow]


def leaderboard_table(table: pd.DataFrame) -> Table:
    """The rows of ``leaderboard.leaderboard`` (with ``entry``), scenario by scenario."""
    shown, rows = report_columns(table), []
    accuracy = place_of(ACCURACY, shown)
    for _, part in table.groupby(["scenario", "scenario_hash"], sort=False):
        for row, own in zip(part.to_dict("records"), marks(part), strict=True):
            cells = [column.cell(row) for column in shown]
            cells[accuracy] = replace(cells[accuracy], marks=tuple(sorted(own)))
            rows.append(TableRow(row["scenario"], row["entry"], cells, row["group"]))
    caption = "Leaderboard. The number of runs in each row is a button that shows them."
    return Table("leaderboard", caption, shown, rows)


def comparisons_table(
    comparisons: Mapping[str, Sequence[Comparison]], client_errors: Mapping[tuple[str, str], float]
) -> Table:
    """Each scenario's entries against its reference; ``client_errors`` by scenario and entry."""
    columns = (
        Heading("method", numeric=False),
        Heading("scenario", numeric=False),
        Heading("reference", numeric=False, note="named beforehand: Local, else FedAvg-FT, else FedAvg"),
        Heading("difference", note="accuracy minus the reference's, points, mean over common seeds"),
        Heading("t interval", note="95 %, Student, over seeds; assumes normal differences"),
        Heading("bootstrap interval", note="95 %, expanded percentile, over seeds; needs five"),
        Heading(
            "error of clients", note="standard error of one seed's difference from its clients and their test samples"
        ),
        Heading("p", note="Wilcoxon signed-rank, exact, Holm-corrected within the scenario"),
        Heading("verdict", numeric=False),
    )
    rows = [
        TableRow(
            scenario,
            c.entry,
            [
                Cell(c.entry),
                Cell(scenario),
                Cell(c.reference),
                number(c.difference, 2),
                interval(*c.student, "+.2f"),
                interval(*c.bootstrap, "+.2f"),
                number(client_errors.get((scenario, c.entry)), 2),
                Cell("" if c.p_value is None else f"{c.p_value:.2g}", c.p_value),
                Cell(c.verdict if c.p_value is not None else f"untested: {c.note}"),
            ],
        )
        for scenario, each in comparisons.items()
        for c in sorted(each, key=lambda c: -c.difference if c.seeds else math.inf)
    ]
    return Table(
        "differences", "Paired differences over seeds to a reference that was named beforehand.", columns, rows
    )


def aggregates_table(over_all: Overall) -> Table:
    """One row per entry that took part in all scenarios."""
    blocks = over_all.ranking.blocks
    columns = (
        Heading("method", numeric=False),
        Heading("mean rank", note=f"over {over_all.ranking.count} {blocks}"),
        Heading(
            "interquartile mean",
            note="of the middle half of the runs, percent, by the metric that most scenarios rank by; they weigh alike",
        ),
        Heading(
            f"P(better than {over_all.reference})", note="for one run of each in the same scenario, mean over scenarios"
        ),
        Heading("scenarios"),
        Heading("runs"),
    )
    rows = [
        TableRow(
            "",
            row["entry"],
            [
                Cell(row["entry"]),
                number(over_all.ranking.mean_ranks.get(row["entry"]), 2),
                number(row["interquartile_mean"], 2),
                number(row["probability_of_improvement"], 2),
                number(row["scenarios"], 0),
                number(row["runs"], 0),
            ],
        )
        for row in over_all.aggregates.to_dict("records")
    ]
    return Table("aggregates", "Over all scenarios: what all these methods have in common.", columns, rows)


def for_whom_table(frame: pd.DataFrame) -> Table:
    """``statistics.clients.for_whom``."""
    columns = (
        Heading("method", numeric=False),
        Heading("scenario", numeric=False),
        Heading("worst client"),
        Heading("worst decile"),
        Heading("median"),
        Heading("best client"),
        Heading("Jain index", note="1: all clients equally accurate"),
        *(Heading(f"worse off than {b}", note=f"percent of the clients that do better with {b}") for b in BASELINES),
    )
    figures = [("q0", 2), ("worst_decile", 2), ("q50", 2), ("q100", 2), ("jain_index", 4)]
    figures += [(f"worse_than_{b}", 1) for b in BASELINES]
    return _plain("for-whom", "Accuracy over clients, percent.", columns, frame, figures)


def costs_table(frame: pd.DataFrame) -> Table:
    """``statistics.costs.cost_to_target``."""
    columns = (
        Heading("method", numeric=False),
        Heading("scenario", numeric=False),
        Heading("target", note="validation accuracy, percent"),
        Heading("reached", note="runs that reached it"),
        Heading("of"),
        Heading("visits to target", note="median over runs"),
        Heading("MB to target", note="down and up, median over runs"),
        Heading("local steps to target", note="median over runs"),
    )
    scaled = frame.assign(bytes_to_target=frame["bytes_to_target"] / 1e6)
    figures = [("target", 0), ("reached", 0), ("runs", 0), ("visits_to_target", 0), ("bytes_to_target", 1)]
    figures += [("local_steps_to_target", 0)]
    return _plain("costs", "What it takes to reach a target on validation.", columns, scaled, figures)


def _plain(
    name: str, caption: str, columns: Sequence[Heading], frame: pd.DataFrame, figures: Sequence[tuple[str, int]]
) -> Table:
    rows = [
        TableRow(
            row["scenario"],
            row["entry"],
            [Cell(row["entry"]), Cell(row["scenario"]), *(number(row[name], digits) for name, digits in figures)],
        )
        for row in frame.to_dict("records")
    ]
    return Table(name, caption, columns, rows)
