"""The report's tables: text to show, and a number to sort by."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pfl_bench.results.render import marks, published
from pfl_bench.results.statistics.clients import BASELINES
from pfl_bench.results.statistics.paired import UNKNOWN, Comparison, Interval


@dataclass(frozen=True)
class Column:
    """A heading; ``note`` explains it where the heading is too short for that."""

    title: str
    numeric: bool = True
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """What is shown, and what it is sorted by (text if None). ``marks``: ``best``, ``second``, ``tie``."""

    text: str
    value: float | None = None
    marks: tuple[str, ...] = ()


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
    columns: Sequence[Column]
    rows: Sequence[TableRow]


LEADERBOARD = (
    Column("method", numeric=False),
    Column("scenario", numeric=False),
    Column("rank"),
    Column("accuracy", note="pooled test accuracy, percent; mean ± standard deviation over seeds"),
    Column("runs", note="finished runs, and what became of the others"),
    Column("95 % interval", note="Student's t, over seeds"),
    Column("against the best", numeric=False, note="Wilcoxon signed-rank over seeds, Holm-corrected"),
    Column("worst decile", note="mean accuracy of the tenth of the clients with the lowest, percent"),
    Column("last", note="accuracy at the end of the budget, percent"),
    Column("moment", numeric=False, note="global: server model; received: before, adapted: after local adaptation"),
    Column("MB down"),
    Column("MB up"),
    Column("local steps"),
    Column("seconds"),
    Column("peak MB"),
    Column("published", numeric=False, note="published figure (our difference, whether inside both spreads)"),
)


def leaderboard_table(table: pd.DataFrame) -> Table:
    """The rows of ``leaderboard.table.leaderboard`` (with ``entry``), scenario by scenario."""
    rows = []
    for _, part in table.groupby(["scenario", "scenario_hash"], sort=False):
        for row, own in zip(part.to_dict("records"), marks(part), strict=True):
            spread = "" if missing(row["accuracy_std"]) else f" ± {row['accuracy_std']:.2f}"
            interval = "" if missing(row["ci_low"]) else f"{row['ci_low']:.2f} to {row['ci_high']:.2f}"
            troubles = [f"{row[s]} {s}" for s in ("failed", "diverged", "skipped", "unfinished") if row[s]]
            cells = [
                Cell(row["entry"]),
                Cell(row["scenario"]),
                number(row["rank"], 0),
                Cell(number(row["accuracy_mean"], 2).text + spread, real(row["accuracy_mean"]), tuple(sorted(own))),
                Cell(", ".join([str(row["seeds"]), *troubles]), float(row["seeds"])),
                Cell(interval, real(row["ci_low"])),
                _versus(row),
                number(row["worst_decile"], 2),
                number(row["last_accuracy"], 2),
                Cell(str(row["moment"] or "")),
                number(row["bytes_down"], 1, 1e-6),
                number(row["bytes_up"], 1, 1e-6),
                number(row["local_steps"], 0),
                number(row["seconds"], 1),
                number(row["peak_memory_bytes"], 0, 1e-6),
                Cell("" if missing(row["published_mean"]) else published(row)),
            ]
            rows.append(TableRow(row["scenario"], row["entry"], cells, row["group"]))
    caption = "Leaderboard. The number of runs in each row is a button that shows them."
    return Table("leaderboard", caption, LEADERBOARD, rows)


def _versus(row: Mapping[Any, Any]) -> Cell:
    if missing(row["p_versus_best"]):
        return Cell(str(row["versus_best"] or ""))
    return Cell(f"{row['versus_best']} (p = {row['p_versus_best']:.2g})", real(row["p_versus_best"]))


def comparisons_table(
    comparisons: Mapping[str, Sequence[Comparison]], over_clients: Mapping[tuple[str, str], Interval]
) -> Table:
    """Each scenario's entries against its best one; ``over_clients``: intervals by scenario and entry."""
    columns = (
        Column("method", numeric=False),
        Column("scenario", numeric=False),
        Column("best", numeric=False),
        Column("difference", note="accuracy minus the best one's, points, mean over common seeds"),
        Column("t interval", note="95 %, Student, over seeds; assumes normal differences"),
        Column("bootstrap interval", note="95 %, expanded percentile, over seeds; needs five"),
        Column("bootstrap over clients", note="the same, with clients resampled within every seed"),
        Column("p", note="Wilcoxon signed-rank, Holm-corrected within the scenario"),
        Column("verdict", numeric=False),
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
                _interval(c.student),
                _interval(c.bootstrap),
                _interval(over_clients.get((scenario, c.entry), UNKNOWN)),
                Cell("" if c.p_value is None else f"{c.p_value:.2g}", c.p_value),
                Cell(c.verdict if c.p_value is not None else f"untested: {c.note}"),
            ],
        )
        for scenario, each in comparisons.items()
        for c in sorted(each, key=lambda c: -c.difference if c.seeds else math.inf)
    ]
    return Table("differences", "Paired differences over seeds to the best of the scenario.", columns, rows)


def aggregates_table(aggregates: pd.DataFrame, mean_ranks: Mapping[str, float], reference: str) -> Table:
    """One row per entry over all scenarios."""
    columns = (
        Column("method", numeric=False),
        Column("mean rank"),
        Column(
            "interquartile mean", note="mean accuracy of the middle half of the runs in the ranked scenarios, percent"
        ),
        Column(f"P(better than {reference})", note="for one run of each in the same scenario, mean over scenarios"),
        Column("scenarios"),
        Column("runs"),
    )
    rows = [
        TableRow(
            "",
            row["entry"],
            [
                Cell(row["entry"]),
                number(mean_ranks.get(row["entry"]), 2),
                number(row["interquartile_mean"], 2),
                number(row["probability_of_improvement"], 2),
                number(row["scenarios"], 0),
                number(row["runs"], 0),
            ],
        )
        for row in aggregates.to_dict("records")
    ]
    return Table("aggregates", "Over all scenarios.", columns, rows)


def for_whom_table(frame: pd.DataFrame) -> Table:
    """``statistics.clients.for_whom``."""
    columns = (
        Column("method", numeric=False),
        Column("scenario", numeric=False),
        Column("worst client"),
        Column("worst decile"),
        Column("median"),
        Column("best client"),
        Column("Jain index", note="1: all clients equally accurate"),
        *(Column(f"worse off than {b}", note=f"percent of the clients that do better with {b}") for b in BASELINES),
    )
    figures = [("q0", 2), ("worst_decile", 2), ("q50", 2), ("q100", 2), ("jain_index", 4)]
    figures += [(f"worse_than_{b}", 1) for b in BASELINES]
    return _plain("for-whom", "Accuracy over clients, percent.", columns, frame, figures)


def costs_table(frame: pd.DataFrame) -> Table:
    """``statistics.costs.cost_to_target``."""
    columns = (
        Column("method", numeric=False),
        Column("scenario", numeric=False),
        Column("target", note="validation accuracy, percent"),
        Column("reached", note="runs that reached it"),
        Column("of"),
        Column("visits to target", note="median over runs"),
        Column("MB to target", note="down and up, median over runs"),
        Column("local steps to target", note="median over runs"),
    )
    scaled = frame.assign(bytes_to_target=frame["bytes_to_target"] / 1e6)
    figures = [("target", 0), ("reached", 0), ("runs", 0), ("visits_to_target", 0), ("bytes_to_target", 1)]
    figures += [("local_steps_to_target", 0)]
    return _plain("costs", "What it takes to reach a target on validation.", columns, scaled, figures)


def _plain(
    name: str, caption: str, columns: Sequence[Column], frame: pd.DataFrame, figures: Sequence[tuple[str, int]]
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


def missing(value: Any) -> bool:
    """Whether a cell has nothing to say."""
    return value is None or bool(pd.isna(value))


def real(value: Any) -> float | None:
    """A number to sort by, or None."""
    return None if missing(value) else float(value)


def number(value: Any, digits: int, scale: float = 1.0) -> Cell:
    """A number with so many digits; an empty cell for none."""
    found = real(value)
    return Cell("") if found is None else Cell(f"{found * scale:.{digits}f}", found)


def _interval(interval: tuple[float, float]) -> Cell:
    low, high = interval
    return Cell("") if missing(low) else Cell(f"{low:+.2f} to {high:+.2f}", low)
