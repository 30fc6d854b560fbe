"""Runs without their files: one compressed file in a suite's folder, for thousands of small runs to be published.

It has the row of every run as ``runs.csv`` has it, and per run the clients' scores and the evaluations at its official
moment: what tables, reports and analyses over scenarios are made from. It has no vectors, no enrolled clients, not who
holds what, and no files to examine. A run that has its folder too is read from there. ``pack.pack`` writes it.
"""

import gzip
import io
import json
import zlib
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from pfl_bench.errors import RequestError

from .files import MOST_TABLE_BYTES, read_bytes
from .places import PACKED as PACKED

MOST_TEXT_BYTES = 2**30
"""What the file may unpack to: a hundred times the 3,570 runs of the board."""

SPARSE = ("clients", "curves")
"""Tables with a row per client or evaluation: they name a run by its row among the runs."""
LABELS = ("run_id", "scenario", "entry", "method", "config_hash", "seed", "partition_sha256")
"""What such a row says of its run."""

Tables = dict[str, pd.DataFrame]
"""``runs``, ``clients`` and ``curves``."""


def dumps(tables: Tables) -> bytes:
    """The file; the same bytes for the same tables and version of zlib.

    Gzipped JSON, ``{table: {column: [value per row]}}``, so that every figure comes back as it was.
    """
    number = {run_id: row for row, run_id in enumerate(tables["runs"]["run_id"])}
    content = {"runs": _columns(tables["runs"])}
    for name in SPARSE:
        table = tables[name]
        own = table.drop(columns=[column for column in LABELS if column in table]).assign(
            run=table["run_id"].map(number)
        )
        content[name] = _columns(own)
    return gzip.compress(json.dumps(content, separators=(",", ":"), allow_nan=False).encode(), mtime=0)


def loads(data: bytes) -> Tables:
    """The inverse of ``dumps``."""
    with gzip.open(io.BytesIO(data)) as opened:
        text = opened.read(MOST_TEXT_BYTES + 1)
    if len(text) > MOST_TEXT_BYTES:
        raise ValueError(f"it unpacks to more than {MOST_TEXT_BYTES // 2**20} MiB")
    content = json.loads(text)
    found = {"runs": pd.DataFrame(content["runs"])}
    for name in SPARSE:
        table = pd.DataFrame(content[name])
        rows = table.pop("run").to_numpy(dtype=int)
        found[name] = labelled(table, found["runs"], rows)
    return found


def labelled(table: pd.DataFrame, runs: pd.DataFrame, rows: Any) -> pd.DataFrame:
    """A table with ``LABELS`` of the run of each of its rows, by the run's place."""
    return table.assign(**{label: runs[label].to_numpy()[rows] for label in LABELS if label in runs})


def packed_in(folder: Path) -> Tables | None:
    """What is packed in a suite's folder, None if nothing is. RequestError where the file cannot be read."""
    place = folder / PACKED
    try:
        state = place.stat()
    except OSError:
        return None
    return _read(place, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _read(place: Path, _changed: int, _size: int) -> Tables:
    try:
        return loads(read_bytes(place, MOST_TABLE_BYTES))
    except (OSError, EOFError, zlib.error, ValueError, TypeError, LookupError, AttributeError) as error:
        raise RequestError(f"{place} is damaged, or is not what 'results pack' writes: {error}") from error


def packed_runs(folder: Path, besides: Collection[str]) -> pd.DataFrame | None:
    """The packed runs but for those with these ids; None if there are none."""
    tables = packed_in(folder)
    if tables is None:
        return None
    runs = tables["runs"]
    own = runs[~runs["run_id"].isin(besides)]
    return None if own.empty else own


def packed_rows(folder: Path, name: str, runs: pd.DataFrame) -> pd.DataFrame | None:
    """The packed rows of a table of ``SPARSE`` for these runs, but for those that have a folder, with the ``LABELS``
    that they have here; None if there are none."""
    tables = packed_in(folder)
    if tables is None:
        return None
    place = {run_id: row for row, run_id in enumerate(runs["run_id"]) if not (folder / "runs" / run_id).is_dir()}
    table = tables[name]
    rows = table["run_id"].map(place)
    kept = table[rows.notna()].drop(columns=[label for label in LABELS if label in table])
    return None if kept.empty else labelled(kept, runs, rows.dropna().to_numpy(dtype=int)).reset_index(drop=True)


def _columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Per column its values as JSON has them; what is missing is null."""
    return {str(name): [None if pd.isna(v) else v for v in table[name].tolist()] for name in table}
