"""What a board found, as a page: the sentences of ``results.board``, each leading to its table below them."""

import re
from collections.abc import Mapping

import pandas as pd

from pfl_bench.results.analyses.board import tables_of
from pfl_bench.results.board.basis import make_basis
from pfl_bench.results.board.findings import findings
from pfl_bench.results.escapes import for_markdown
from pfl_bench.spec.suite import builtin_suites

from .boards import Board
from .documents import Document

MOST_ROWS = 150
"""Of a table on the page; longer ones are named."""
_NAMED = re.compile(r"\(`(\w+)\.csv`\)")
"""How a sentence names the table that it was read from (``results.board.words.said``)."""


def findings_of(board: Board) -> Document | None:
    """The page in Markdown; None where no run has finished."""
    results = board.results
    if not (results.runs["status"] == "finished").any():
        return None
    suite = builtin_suites().get(board.name)
    held_out = suite.held_out if suite else ()
    basis = make_basis(results.runs, results.clients, results.scenarios, held_out, (), results.history)
    tables = tables_of(basis)
    sentences = _NAMED.sub(lambda found: f"([{found[1]}](#{found[1]}))", findings(board.name, tables))
    return Document(f"{board.name}.md", f"What {board.name} found", sentences + _below(board.name, tables))


def _below(name: str, tables: Mapping[str, pd.DataFrame]) -> str:
    parts = ["\n## Tables\n", f"As `pfl-bench analyse board` makes them of the runs of {name}.\n"]
    return "\n".join(parts + [f"### {title}\n\n{_table(title, table)}" for title, table in tables.items()])


def _table(title: str, table: pd.DataFrame) -> str:
    if table.empty:
        return "It has no rows.\n"
    if len(table) > MOST_ROWS:
        return f"{len(table)} rows, which `{title}.csv` has.\n"
    rows = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    lines = [[for_markdown(str(column)) for column in table], ["---"] * table.shape[1], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else for_markdown(str(value))
