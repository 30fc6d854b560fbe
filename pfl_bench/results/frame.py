"""The results frame: one row per run, read from the ledger's folders."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from pfl_bench.errors import RequestError
from pfl_bench.text import printable

from .columns import Column, catalogue, keys_of
from .comparable import IDENTITIES, identities, tell_apart
from .notes import Problem, left_out
from .order import by_scenario
from .packed import packed_runs
from .record import RUN, Unreadable, read_record


def read_runs(folder: Path) -> pd.DataFrame:
    """All readable runs below ``<folder>/runs``, finished or not, in the order of scenario, method and seed.

    The columns are those of ``columns.catalogue``, and those by which runs that are not comparable are told apart:
    they have other scenario names or another ``code_label`` (``comparable.tell_apart``). Accuracies are in percent on
    test data, at the evaluation with the best validation accuracy of the method's official moment; ``last_accuracy``
    is at the end of the budget. Times in seconds, traffic in bytes.
    """
    return scan_runs(folder)[0]


def finished_runs(folder: Path) -> pd.DataFrame:
    """The finished ones of ``read_runs``; what was left out is told on stderr. RequestError if there is none."""
    runs, problems = scan_runs(folder)
    runs = runs[runs["status"] == "finished"]
    if runs.empty:
        raise RequestError(". ".join([f"there is no finished run in {folder}", *left_out(problems)]))
    for line in left_out(problems, str(folder)):
        print(line, file=sys.stderr)
    return runs


def scan_runs(folder: Path) -> tuple[pd.DataFrame, list[Problem]]:
    """``read_runs``, and what is left out: damaged, foreign, of another version, or in contradiction with itself.

    Runs that have no folder are read from the packed file (``packed``) where there is one. RequestError if the folder
    ``runs`` is there and cannot be listed, or the packed file cannot be read.
    """
    frame, problems = recorded_runs(folder)
    packed = packed_runs(folder, run_names(folder / "runs"))
    if packed is not None:
        frame = packed if frame.empty else pd.concat([frame, packed], ignore_index=True)
    return by_scenario(tell_apart(frame), "method", "config_hash", "seed"), problems


def recorded_runs(folder: Path) -> tuple[pd.DataFrame, list[Problem]]:
    """A row per readable folder of a run, with the scenario as it was recorded; and what is left out."""
    columns = catalogue()
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for name in run_names(folder / "runs"):
        try:
            rows.append(_row(folder / "runs" / name, columns))
        except Unreadable as error:
            problems.append(Problem(printable(f"runs/{name}"), printable(str(error))))
    return pd.DataFrame(rows, columns=[*keys_of(columns), *IDENTITIES]), problems


def run_names(runs: Path) -> list[str]:
    """The folders of runs, but for those that are being written; none where there are none yet."""
    try:
        return sorted(place.name for place in runs.iterdir() if not place.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RequestError(f"{runs} cannot be read: {error.strerror}") from error


def _row(folder: Path, columns: tuple[Column, ...]) -> dict[str, Any]:
    record = read_record(folder)
    try:
        return {column.key: column.value(record) for column in columns} | identities(record)
    except (TypeError, ValueError, OverflowError) as error:
        raise Unreadable(f"{RUN} has a field of the wrong type") from error
