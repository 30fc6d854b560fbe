"""The tables beside the runs (``history.csv``, ``clients.csv``, ...), read in bulk: ten thousand runs in seconds."""

import io
import re
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pfl_bench.errors import RequestError, shown
from pfl_bench.metrics import PRIMARY

from .files import MOST_TABLE_BYTES, Unreadable, read_text
from .notes import Problem
from .packed import LABELS, packed_rows
from .primary import primaries

HISTORY = ("visits", "accuracy", "bytes_down", "bytes_up", "local_steps", "adapt_steps")
CLIENTS = ("client", "test_correct", "test_samples")
HOLDINGS = ["client", "novel", "label", "train", "test"]
_SHA256 = re.compile(r"[0-9a-f]{12,64}")


Found = tuple[pd.DataFrame, list[Problem]]
"""Rows, and what could not be read."""


def read_table(
    folder: Path, runs: pd.DataFrame, name: str, numeric: Sequence[str], text: Sequence[str] = (), every: bool = False
) -> Found:
    """``<name>.csv`` of every run that has one: the columns asked for, and the run's ``LABELS`` behind them.

    Cells of ``numeric`` columns that are no finite number become NaN. A file that lacks a column or is ragged is left
    out and reported. ``every``: the files' other columns too, as pandas reads them.
    """
    wanted = [*text, *numeric]
    columns = None if every else wanted
    problems: list[Problem] = []
    bodies: dict[str, list[tuple[int, str]]] = {}
    for position, run_id in enumerate(runs["run_id"].tolist()):
        path = Path(f"{folder}/runs/{run_id}/{name}.csv")
        try:
            header, _, body = read_text(path, MOST_TABLE_BYTES).partition("\n")
        except FileNotFoundError:
            continue
        except Unreadable as error:
            problems.append(Problem(f"runs/{run_id}/{name}.csv", str(error)))
            continue
        if body and not body.endswith("\n"):
            body += "\n"
        bodies.setdefault(header.strip(), []).append((position, body))
    parts = []
    for header, files in bodies.items():
        missing = [column for column in wanted if column not in header.split(",")]
        if missing:
            why = f"it lacks the column {', '.join(missing)}"
            problems += [Problem(f"runs/{runs['run_id'].iloc[p]}/{name}.csv", why) for p, _ in files]
            continue
        together = _parse(header, [body for _, body in files], columns)
        if together is not None:
            rows = [body.count("\n") for _, body in files]
            parts.append(together.assign(_run=np.repeat([p for p, _ in files], rows)))
            continue
        for position, body in files:  # one of them is broken: find out which
            alone = _parse(header, [body], columns)
            if alone is None:
                where = f"runs/{runs['run_id'].iloc[position]}/{name}.csv"
                problems.append(Problem(where, "its rows do not fit its header"))
            else:
                parts.append(alone.assign(_run=position))
    return _labelled(parts, runs, wanted, numeric), problems


def read_history(folder: Path, runs: pd.DataFrame) -> Found:
    """The evaluations of every run at its official moment: ``HISTORY``, and ``split`` (``validation`` or ``test``).

    ``accuracy`` is what ranks: the primary metric, where a scenario names another one (``primary.by_primary``).
    """
    parts, problems = [], []
    for primary, own in runs.groupby(primaries(runs), sort=False):
        columns = [primary if name == PRIMARY else name for name in HISTORY]
        history, more = read_table(folder, own, "history", columns, ("moment", "split"))
        parts.append(history.rename(columns={primary: PRIMARY}))
        problems += more
    if not parts:
        return read_table(folder, runs, "history", HISTORY, ("moment", "split"))
    together = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    own = of_official_moment(together, runs).dropna(subset=["visits", PRIMARY])
    return _with_packed(folder, "curves", own, runs), problems


def without_curve(rows: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """A line per scenario of these runs of which ``read_history`` found no evaluation."""
    gone = [str(name) for name in runs["scenario"].unique() if name not in set(rows["scenario"])]
    return [f"{scenario}: no picture, for there is no evaluation in which what ranks is defined" for scenario in gone]


def read_clients(folder: Path, runs: pd.DataFrame) -> Found:
    """The clients' test results of every run at its official moment and its selected evaluation: ``CLIENTS``."""
    clients, problems = read_table(folder, runs, "clients", CLIENTS, ("moment", "selection"))
    own = of_official_moment(clients[clients["selection"] == "best"], runs)
    return _with_packed(folder, "clients", own, runs), problems


def _with_packed(folder: Path, name: str, own: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """With the rows of runs that are packed."""
    packed = packed_rows(folder, name, runs)
    if packed is None:
        return own
    return packed.reindex(columns=own.columns) if own.empty else pd.concat([own, packed], ignore_index=True)


def read_trials(place: Path) -> pd.DataFrame:
    """A ``tuning.csv``. Unreadable if it is no table, or a figure in it is none; FileNotFoundError or
    NotADirectoryError if it is not there."""
    try:
        return _with_figures(pd.read_csv(io.StringIO(read_text(place, MOST_TABLE_BYTES))), place)
    except (FileNotFoundError, NotADirectoryError, Unreadable):
        raise
    except ValueError as error:
        raise Unreadable(f"{place.name} is no table") from error


def needed_trials(place: Path, columns: Collection[str], asked_by: str = "") -> pd.DataFrame:
    """Those columns of a ``tuning.csv``. RequestError, beginning with ``asked_by``, where they cannot be had."""
    hint = "'tune' writes it into the folder of a suite's trials"
    try:
        found = read_trials(place)
    except Unreadable as error:
        raise RequestError(f"{asked_by}{place.parent}: {error}; {hint}") from error
    except OSError as error:
        raise RequestError(f"{asked_by}{place} is not readable; {hint}") from error
    if missing := [column for column in columns if column not in found]:
        raise RequestError(f"{asked_by}{place} lacks the column {missing[0]}; {hint}")
    return found[[*columns]]


def _with_figures(trials: pd.DataFrame, place: Path) -> pd.DataFrame:
    """Scenarios and methods are named, seeds are whole numbers, accuracies finite or absent."""
    for column in ("scenario", "method"):
        if column in trials and trials[column].isna().any():
            raise Unreadable(f"{place.name}: a row has no {column}")
    for column in {"seed", "validation_accuracy"} & set(trials.columns):
        texts = trials[column]
        is_truth = texts.map(lambda text: isinstance(text, bool | np.bool_))
        figures = pd.to_numeric(texts.mask(is_truth.astype(bool)), errors="coerce")
        fine = figures.notna() & (figures % 1 == 0) if column == "seed" else np.isfinite(figures) | texts.isna()
        for text in texts[~fine]:
            what = "a whole number" if column == "seed" else "a number"
            raise Unreadable(f"{place.name}: {column}={shown(text)} must be {what}")
        trials[column] = figures.astype(int) if column == "seed" else figures
    return trials


def of_official_moment(rows: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table whose ``moment`` is their run's official one."""
    return rows[rows["moment"] == rows["run_id"].map(runs.set_index("run_id")["moment"])]


def complete(found: Found) -> pd.DataFrame:
    """The rows, where nothing may be left out: RequestError for the first problem."""
    rows, problems = found
    for problem in problems:
        raise RequestError(f"{problem.where}: {problem.why}")
    return rows


def _parse(header: str, bodies: list[str], columns: list[str] | None) -> pd.DataFrame | None:
    """Rows of files with one header, or None unless there is exactly one per line."""
    content = "".join(bodies)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # cells that have no column would be dropped
            table = pd.read_csv(
                io.StringIO(header + "\n" + content), usecols=columns, skip_blank_lines=False, index_col=False
            )
    except (ValueError, pd.errors.ParserError, pd.errors.ParserWarning):
        return None
    return table if len(table) == content.count("\n") else None


def _labelled(parts: list[pd.DataFrame], runs: pd.DataFrame, wanted: list[str], numeric: Sequence[str]) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame(columns=[*wanted, *(label for label in LABELS if label in runs and label not in wanted)])
    table = pd.concat(parts, ignore_index=True).sort_values("_run", kind="stable", ignore_index=True)
    for column in numeric:
        values = pd.to_numeric(table[column], errors="coerce")
        table[column] = values.where(np.isfinite(values))
    positions = table.pop("_run")
    for label in LABELS:
        if label in runs and label not in wanted:
            table[label] = runs[label].to_numpy()[positions]
    return table


def read_partition(folder: Path, sha256: object) -> pd.DataFrame | None:
    """Who holds what: the recorded rows of a partition (client, novel, label, train, test: whole numbers; group: as it
    was written); None if there are none."""
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):  # it becomes part of a path
        return None
    try:
        text = read_text(folder / "partitions" / f"{sha256[:12]}.csv", MOST_TABLE_BYTES)
        rows = pd.read_csv(io.StringIO(text), usecols=[*HOLDINGS, "group"])
    except (OSError, ValueError):
        return None
    figures = rows[HOLDINGS].apply(pd.to_numeric, errors="coerce").dropna().astype(int)
    return figures.join(rows["group"])
