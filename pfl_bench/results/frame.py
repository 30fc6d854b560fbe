"""The results frame: one row per run, read from the ledger's folders."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pfl_bench.errors import RequestError

from .columns import Column, catalogue, keys_of
from .comparable import IDENTITIES, identities, tell_apart
from .order import by_scenario
from .record import RUN, Unreadable, read_record


@dataclass(frozen=True)
class Problem:
    """Something in a results folder that was left out, and why."""

    where: str
    why: str


def read_runs(folder: Path) -> pd.DataFrame:
    """All readable runs below ``<folder>/runs``, finished or not, in the order of scenario, method and seed.

    The columns are those of ``columns.catalogue``, and those by which runs that are not comparable are told apart:
    they have other scenario names or another ``code_label`` (``comparable.tell_apart``). Accuracies are in percent on
    test data, at the evaluation with the best validation accuracy of the method's official moment; ``last_accuracy``
    is at the end of the budget. Times in seconds, traffic in bytes.
    """
    return scan_runs(folder)[0]


def finished_runs(folder: Path) -> pd.DataFrame:
    """The finished ones of ``read_runs``. RequestError if there is none."""
    runs = read_runs(folder)
    runs = runs[runs["status"] == "finished"]
    if runs.empty:
        raise RequestError(f"there is no finished run in {folder}")
    return runs


def scan_runs(folder: Path) -> tuple[pd.DataFrame, list[Problem]]:
    """``read_runs``, and what could not be read: damaged, foreign, or of another version."""
    columns = catalogue()
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for place in sorted(p for p in (folder / "runs").glob("*") if not p.name.startswith(".")):
        try:
            rows.append(_row(place, columns))
        except Unreadable as error:
            problems.append(Problem(f"runs/{place.name}", str(error)))
    frame = tell_apart(pd.DataFrame(rows, columns=[*keys_of(columns), *IDENTITIES]))
    return by_scenario(frame, "method", "config_hash", "seed"), problems


def _row(folder: Path, columns: tuple[Column, ...]) -> dict[str, Any]:
    record = read_record(folder)
    try:
        return {column.key: column.value(record) for column in columns} | identities(record)
    except (TypeError, ValueError, OverflowError) as error:
        raise Unreadable(f"{RUN} has a field of the wrong type") from error
