"""The report's tables, as data that the page lays out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from pfl_bench.results.cells import Cell, Heading, interval, number
from pfl_bench.results.display import ACCURACY, marks, place_of, report_columns
from pfl_bench.results.matrix import Matrix
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

    @property
    def parts(self) -> dict[str, list[TableRow]]:
        """The rows by scenario; within one they are sorted."""
        found: dict[str, list[TableRow]] = {}
        for row in self.rows:
            found.setdefault(row.scenario, []).append(row)
        return found

    @property
    def minor(self) -> int:
        """How many columns are shown on demand."""
        return sum(column.minor for column in self.columns)


def leaderboard_table(table: pd.DataFrame, grid: Matrix) -> Table:
    """The rows of ``leaderboard.leaderboard`` (with ``entry``), scenario by scenario, shaded by rank as the matrix."""
    shown, rows = report_columns(table), []
    accuracy = place_of(ACCURACY, shown)
    for _, part in table.groupby(["scenario", "scenario_hash"], sort=False):
        for row, own in zip(part.to_dict("records"), marks(part), strict=True):
            cells = [Cell(row["entry"]), *(column.cell(row) for column in shown[1:])]
            shade = grid.cells[row["entry"], row["scenario"]].shade_mark
            cells[accuracy] = replace(cells[accuracy], marks=(*sorted(own), *shade))
            rows.append(TableRow(row["scenario"], row["entry"], cells, row["group"]))
    caption = "The number of runs in each row is a button that shows them."
    return Table("leaderboard", caption, shown, rows)


def comparisons_table(
    comparisons: Mapping[str, Sequence[Comparison]], client_errors: Mapping[tuple[str, str], float]
) -> Table:
    """Each scenario's entries against its reference; ``client_errors`` by scenario and entry."""
    columns = (
        Heading("method", numeric=False),
        Heading(
            "difference", note="accuracy minus the reference's, points, mean over common seeds", unit="points",
            better="higher",
        ),
        Heading("reference", numeric=False, note="named beforehand: Local, else FedAvg-FT, else FedAvg"),
        Heading("verdict", numeric=False),
        Heading("p", note="Wilcoxon signed-rank, exact, Holm-corrected within the scenario", better="lower"),
        Heading(
            "t interval", note="95 %, Student, over seeds; assumes normal differences", unit="points", better="higher"
        ),
        Heading(
            "bootstrap interval", note="95 %, expanded percentile, over seeds; needs five", unit="points",
            better="higher",
        ),
        Heading(
            "error of clients", note="standard error of one seed's difference from its clients and their test samples",
            unit="points", better="lower",
        ),
    )  # fmt: skip
    rows = [
        TableRow(
            scenario,
            c.entry,
            [
                Cell(c.entry),
                Cell("" if not c.seeds else f"{c.difference:+.2f}", c.difference if c.seeds else None),
                Cell(c.reference),
                Cell(c.verdict if c.p_value is not None else f"untested: {c.note}"),
                Cell("" if c.p_value is None else f"{c.p_value:.2g}", c.p_value),
                interval(*c.student, "+.2f"),
                interval(*c.bootstrap, "+.2f"),
                number(client_errors.get((scenario, c.entry)), 2),
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
        Heading("mean rank", note=f"over {over_all.ranking.count} {blocks}", better="lower"),
        Heading(
            "interquartile mean",
            note="of the middle half of the runs, percent, by the metric that most scenarios rank by; they weigh alike",
            unit="%", better="higher",
        ),
        Heading(
            f"P(better than {over_all.reference})", note="for one run of each in a scenario, mean over scenarios",
            better="higher",
        ),
        Heading("scenarios", better="higher"),
        Heading("runs", better="higher"),
    )  # fmt: skip
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
    count = len(over_all.shared.editions)
    caption = f"Over the {count} scenarios that these methods have in common." if count > 1 else "Over seeds."
    return Table("aggregates", caption, columns, rows)


def for_whom_table(frame: pd.DataFrame) -> Table:
    """``statistics.clients.for_whom``."""
    columns = (
        Heading("method", numeric=False),
        *(Heading(title, unit="%", better="higher") for title in ("worst decile", "worst client", "median")),
        Heading("best client", unit="%", better="higher"),
        Heading("Jain index", note="1: all clients equally accurate", better="higher"),
        *(
            Heading(f"worse off than {b}", note=f"percent of the clients that do better with {b}", unit="% of clients",
                    better="lower")
            for b in BASELINES
        ),
    )  # fmt: skip
    figures = [("worst_decile", 2), ("q0", 2), ("q50", 2), ("q100", 2), ("jain_index", 4)]
    figures += [(f"worse_than_{b}", 1) for b in BASELINES]
    return _plain("for-whom", "Accuracy over clients, percent.", columns, frame, figures)


def costs_table(frame: pd.DataFrame) -> Table:
    """``statistics.costs.cost_to_target``."""
    columns = (
        Heading("method", numeric=False),
        Heading("visits to target", note="median over runs", better="lower"),
        Heading("MB to target", note="down and up, median over runs", better="lower"),
        Heading(
            "local steps to target", note="median over runs", unit="mini-batch gradients", better="lower"
        ),
        Heading("reached", note="runs that reached it", unit="runs", better="higher"),
        Heading("of", unit="runs"),
        Heading("target", note="validation accuracy, percent", unit="%"),
    )  # fmt: skip
    scaled = frame.assign(bytes_to_target=frame["bytes_to_target"] / 1e6)
    figures = [("visits_to_target", 0), ("bytes_to_target", 1), ("local_steps_to_target", 0)]
    figures += [("reached", 0), ("runs", 0), ("target", 0)]
    return _plain("costs", "What it takes to reach a target on validation.", columns, scaled, figures)


def _plain(
    name: str, caption: str, columns: Sequence[Heading], frame: pd.DataFrame, figures: Sequence[tuple[str, int]]
) -> Table:
    """Within a scenario the best by the first figure are on top."""
    first, falls = figures[0][0], columns[1].better == "higher"
    rows = [
        TableRow(
            row["scenario"],
            row["entry"],
            [Cell(row["entry"]), *(number(row[name], digits) for name, digits in figures)],
        )
        for _, part in frame.groupby("scenario", sort=False)
        for row in part.sort_values(first, ascending=not falls, kind="stable").to_dict("records")
    ]
    return Table(name, caption, columns, rows)
