"""``tuning.csv``: every trial of a tuning, a row per run; and what others tuned, which such a table brings."""

import io
from pathlib import Path

import pandas as pd

from pfl_bench.results.files import MOST_TABLE_BYTES, read_text
from pfl_bench.results.record import FINAL
from pfl_bench.results.run_tables import needed_trials

TRIALS_FILE = "tuning.csv"
COLUMNS = ["run_id", "scenario", "method", "seed", "status", "validation_accuracy", "config"]
"""Of that file."""


def known_trials(place: Path) -> pd.DataFrame:
    """The trials of a ``tuning.csv`` that have ended. RequestError where it is none, or a figure in it is none."""
    found = needed_trials(place, COLUMNS, "--known: ")
    return found[found["status"].isin(FINAL)].drop_duplicates("run_id")


def kept_rows(place: Path, has: set[str]) -> str:
    """Rows that the table has, as they are, of runs that neither the ledger nor the request has: they were known."""
    try:
        before = pd.read_csv(io.StringIO(read_text(place, MOST_TABLE_BYTES)), dtype=str)
    except (OSError, ValueError):
        return ""
    if not set(COLUMNS) <= set(before):
        return ""
    kept = before[COLUMNS][before["status"].isin(FINAL) & ~before["run_id"].isin(has)].drop_duplicates("run_id")
    return kept.to_csv(index=False, header=False, lineterminator="\n")
