"""What a suite's scenarios are: data, who holds what, what sets clients apart, budget, sizes, and who leads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pfl_bench.results.report.asked import in_words

from .boards import Board

HETEROGENEITY = ("shift", "availability")


@dataclass(frozen=True)
class ScenarioTable:
    """What a suite's scenarios are, in words: ``rows``, by scenario, have a text per column, "" for what its results do
    not say. A column of which none says anything is left out."""

    columns: Sequence[str]
    rows: Mapping[str, Sequence[str]]


def scenario_table(board: Board) -> ScenarioTable:
    """Of every scenario, other editions included, in the order of the suite's matrix."""
    rows = {column.scenario: _row(board, column.scenario) for column in board.matrix.columns}
    columns = [name for name in next(iter(rows.values()), {}) if any(row[name] for row in rows.values())]
    return ScenarioTable(columns, {scenario: [row[name] for name in columns] for scenario, row in rows.items()})


def _row(board: Board, scenario: str) -> dict[str, str]:
    told: Mapping[str, Any] = board.results.scenarios.get(scenario, {})
    novel = told.get("novel") or 0
    steps, batch = told.get("local_steps"), told.get("batch_size")
    budget = f"{told['visits']} visits" if "visits" in told else ""
    budget += f" of {steps} steps" if budget and steps else ""
    budget += f", batches of {batch}" if budget and batch else ""
    parts = [f"{name}: {text}" for name in HETEROGENEITY if (text := in_words(told.get(name)))]
    model = told.get("model")
    return {
        "leads": _leader(board, scenario),
        "data": in_words(told.get("dataset")),
        "clients": f"{told.get('clients', '')}{f', {novel} of them novel' if novel else ''}",
        "partition": in_words(told.get("partition")),
        "sizes": sizes(board.results.partitions.get(scenario)),
        "heterogeneity besides": "; ".join(parts),
        "client model": " + ".join(model) if isinstance(model, list | tuple) else in_words(model),
        "budget": budget,
    }


def sizes(holdings: pd.DataFrame | None) -> str:
    """Training samples of the clients that train, from who holds what: ``56 each``, ``median 40 (12 to 310)``."""
    if holdings is None:
        return ""
    training = holdings[holdings["novel"] == 0] if (holdings["novel"] == 0).any() else holdings
    each = training.groupby("client")["train"].sum()
    low, high = int(each.min()), int(each.max())
    return f"{low} each" if low == high else f"median {each.median():g} ({low} to {high})"


def _leader(board: Board, scenario: str) -> str:
    """Who is first, and how many are not told apart from it."""
    cells = {entry: board.matrix.cells[entry, scenario] for entry in board.matrix.rows}
    firsts = [entry for entry, cell in cells.items() if cell.rank == 1]
    if not firsts:
        return ""
    mean = cells[firsts[0]].mean
    ties = sum("tie" in cell.marks for entry, cell in cells.items() if entry not in firsts)
    tied = f", {ties} not told apart from it" if ties else ""
    return f"{', '.join(firsts)} ({mean:.2f}{tied})"
