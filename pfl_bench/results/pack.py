"""Write runs into one file, without their folders (``packed``): ``pfl-bench results pack FOLDER --into PATH``."""

import math
from collections.abc import Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pfl_bench.errors import RequestError

from .files import write_bytes
from .frame import recorded_runs
from .notes import Problem
from .order import by_scenario
from .packed import PACKED, SPARSE, Tables, dumps, packed_in, packed_rows
from .primary import by_primary
from .run_tables import read_clients, read_history
from .shared import PATIENCE, SharedFolder


@dataclass(frozen=True)
class Packed:
    """The file, how many runs it has, how many of them are new, and what was left out."""

    place: Path
    runs: int
    added: int
    problems: tuple[Problem, ...]


def pack(folder: Path, into: Path) -> Packed:
    """Write the ended runs of a suite's folder into the packed file of another, beside those that it has.

    RequestError, and nothing is written, where a run is packed there with other figures, or there is no ended run.
    """
    runs, problems = recorded_runs(folder)
    runs = _ordered(runs[runs["status"] != "unfinished"])
    if runs.empty:
        raise RequestError(f"pack: no run in {folder / 'runs'} has ended")
    history, more = read_history(folder, by_primary(runs))
    clients, others = read_clients(folder, runs)
    own: Tables = {"runs": runs, "clients": clients.drop(columns="selection"), "curves": history}
    shared = SharedFolder(into)
    with shared.lock(PATIENCE):  # who packs there too is waited for, and his runs are kept
        known, whole = _add(own, into)
        with suppress(OSError):  # there are runs with folders, too
            shared.runs.rmdir()
    return Packed(into / PACKED, len(whole), len(whole) - len(known), (*problems, *more, *others))


def join(folder: Path, into: Path) -> list[str]:
    """Add the packed runs of a suite's folder to the packed file of another; the ids of those that are new there.

    Under the lock of that folder. RequestError, and nothing is written, where a run is packed there with other figures.
    """
    own = packed_in(folder)
    if own is None:
        return []
    known, whole = _add(own, into)
    return [name for name in whole if name not in set(known)]


def _add(own: Tables, into: Path) -> tuple[list[str], list[str]]:
    """Write these runs beside those that a folder has packed: the ids that it had, and those that it has now."""
    there = packed_in(into)
    whole = own if there is None else _joined(there, own, into)
    write_bytes(into / PACKED, dumps(whole))
    known = [] if there is None else list(map(str, there["runs"]["run_id"]))
    return known, list(map(str, whole["runs"]["run_id"]))


FIGURES = ("status", "accuracy", "validation_accuracy", "data_sha256", "partition_sha256", "bytes_up", "local_steps")
"""By which a run is held to be the same."""


def _joined(there: Tables, own: Tables, into: Path) -> Tables:
    """Both. RequestError where a run is in both with other figures."""
    known = {str(run["run_id"]): run for run in there["runs"].to_dict("records")}
    for run in own["runs"].to_dict("records"):
        if run["run_id"] in known and not _same(known[run["run_id"]], run):
            raise RequestError(
                f"pack: {run['run_id']} is in {into / PACKED} with other figures; pack into another folder, and "
                "'compare' the two"
            )
    runs = own["runs"][~own["runs"]["run_id"].isin(list(known))]
    rows = {name: own[name][own[name]["run_id"].isin(runs["run_id"])] for name in SPARSE}
    return {"runs": _ordered(_under(there["runs"], runs))} | {name: _under(there[name], rows[name]) for name in SPARSE}


def _same(one: Mapping[Hashable, Any], other: Mapping[Hashable, Any]) -> bool:
    pairs = [(one.get(name), other.get(name)) for name in FIGURES]
    return all(mine == theirs or (pd.isna(mine) and pd.isna(theirs)) for mine, theirs in pairs)


def _ordered(runs: pd.DataFrame) -> pd.DataFrame:
    return by_scenario(runs, "method", "config_hash", "seed")


def _under(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    return table if rows.empty else pd.concat([table, rows], ignore_index=True)


CLOSE = 1e-6
"""Points by which a mean may differ from the one that was recorded: sums of floats in another order."""


def other_scores(folder: Path, runs: pd.DataFrame) -> list[str]:
    """Packed runs that finished and whose ``client_mean`` is not that of their packed clients, each with both."""
    rows = packed_rows(folder, "clients", runs)
    if rows is None:
        rows = pd.DataFrame(columns=["run_id", "test_correct", "test_samples"])
    accuracy = 100 * rows["test_correct"].astype(float) / rows["test_samples"].astype(float)
    means = accuracy.groupby(rows["run_id"]).mean()
    found = []
    for run in runs[runs["status"] == "finished"].itertuples():
        own, said = float(means.get(run.run_id, math.nan)), float(str(run.client_mean))
        if not abs(own - said) <= CLOSE:
            found.append(f"{run.run_id} has {said:.6g}, and its clients {own:.6g}")
    return found
