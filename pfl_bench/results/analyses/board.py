"""Who is ahead on a board, when, for whom and at what cost: ``pfl-bench analyse board results/board-v1 --out PATH``.

Writes a table per question and ``findings.md``, whose every sentence names the table it was read from.
"""

from pathlib import Path

import pandas as pd

from pfl_bench.results.board.basis import Basis, basis_of
from pfl_bench.results.board.findings import findings
from pfl_bench.results.board.pays import costs_table, factors_table, hurt_table
from pfl_bench.results.board.tables import (
    best_sets_table,
    controls_table,
    gains_table,
    held_out_table,
    means_table,
    plateau_table,
    power_table,
    ranking_of,
    ranks_table,
    scenarios_table,
    standing_table,
    trials_of,
    trials_table,
)
from pfl_bench.results.files import write_text

FINDINGS = "findings.md"


def tables_of(basis: Basis, trials: pd.DataFrame | None = None) -> dict[str, pd.DataFrame]:
    """All tables, by name. ``trials``: as ``tuning.csv`` has them, where they are known."""
    ranking = ranking_of(basis)
    standing, controls = standing_table(basis, ranking), controls_table(basis)
    return {
        "scenarios": scenarios_table(basis),
        "means": means_table(basis).reset_index(),
        "standing": standing,
        "ranks": ranks_table(ranking),
        "controls": controls,
        "power": power_table(controls, basis),
        "gains": gains_table(basis),
        "factors": factors_table(basis),
        "hurt": hurt_table(basis),
        "costs": costs_table(basis, standing, controls),
        "held_out": held_out_table(basis, standing),
        "best_sets": best_sets_table(basis),
        "plateau": plateau_table(basis),
        "trials": trials_table(trials, set(basis.runs["seed"])),
        "gaps": basis.gaps,
        "left_out": pd.DataFrame({"left_out": list(basis.left_out)}),
    }


def files(basis: Basis, title: str, trials: pd.DataFrame | None = None) -> dict[str, str]:
    """The text of every table and of the findings, by file name."""
    tables = tables_of(basis, trials)
    written = {
        f"{name}.csv": table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        for name, table in tables.items()
    }
    return {**written, FINDINGS: findings(title, tables)}


def main(folder: Path, out: Path | None = None, suite: str | None = None) -> list[Path]:
    """Write them into ``out``, by default ``board`` in the suite's folder; where. ``suite``: see ``basis_of``."""
    place = folder / "board" if out is None else out
    own = folder.resolve()
    texts = files(basis_of(folder, suite), own.name, trials_of(own.with_name(f"{own.name}-tuning")))
    place.mkdir(parents=True, exist_ok=True)
    return [write_text(place / name, text) for name, text in texts.items()]
