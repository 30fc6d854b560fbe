"""Any CSV file: the user says which columns have scenario, method, accuracy and, if there is one, its spread.

Rows of equal scenario and method are the runs of one figure, unless a column has their spread: then there is one row.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pfl_bench.errors import RequestError, one_line, shown, unknown
from pfl_bench.text import counted

from .figures import LONGEST, Figure
from .wanted import UNITS, Wanted, hashes, over_runs

COLUMNS = ("scenario", "method", "accuracy", "std")


def read_csv(files: Sequence[Path], wanted: Wanted) -> list[Figure]:
    """One figure per scenario and method."""
    columns = _columns(wanted)
    tables = [_table(path, columns, wanted).assign(path=str(path)) for path in dict.fromkeys(files)]
    rows = pd.concat(tables)
    found = []
    for (scenario, method), own in rows.groupby(["scenario", "method"], sort=False):
        paths = [Path(path) for path in dict.fromkeys(own["path"])]
        source = wanted.source or paths[0].name
        if "std" not in columns:
            values = own["accuracy"].to_numpy(dtype=float)
            found.append(over_runs(str(scenario), str(method), values, source, "", paths))
            continue
        if len(own) > 1:
            raise RequestError(
                f"{shown(paths[0].name)}: {counted(len(own), 'row')} for {shown(method)} on {shown(scenario)}; "
                f"with a column for "
                "std there must be one, without it they are taken for runs"
            )
        mean, std = float(own["accuracy"].iloc[0]), float(own["std"].iloc[0])
        found.append(Figure(str(scenario), str(method), mean, std, 0, source, "as given", hashes(paths)))
    return found


def _columns(wanted: Wanted) -> dict[str, str]:
    columns = dict(wanted.columns)
    for key in columns:
        if key not in COLUMNS:
            raise unknown("column", key, COLUMNS)
    if "accuracy" not in columns:
        raise RequestError("--column: say which column has the accuracies: --column accuracy=NAME")
    for key, fixed in (("scenario", wanted.scenario), ("method", wanted.method)):
        if (key in columns) == (fixed is not None):
            raise RequestError(f"{key}: give either --{key} NAME or --column {key}=NAME")
    return columns


def _table(path: Path, columns: Mapping[str, str], wanted: Wanted) -> pd.DataFrame:
    """The rows of a CSV file under our names, accuracies in percent."""
    try:
        frame = pd.read_csv(path, encoding="utf-8-sig")
    except Exception as error:  # what pandas raises has no common base
        raise RequestError(f"{shown(path.name)} is not readable as CSV: {one_line(error)}") from error
    for column in columns.values():
        if column not in frame.columns:
            listed = ", ".join(shown(str(c), 30) for c in frame.columns[:12])
            raise RequestError(f"{shown(path.name)} has no column {shown(column)}; there are {listed}")
    if frame.empty:
        raise RequestError(f"{shown(path.name)} has no row")
    scale, found = UNITS[wanted.unit], pd.DataFrame(index=frame.index)
    for key in ("scenario", "method"):
        values = frame[columns[key]].astype(object) if key in columns else getattr(wanted, key)
        found[key] = values
        if found[key].isna().any() or found[key].astype(str).str.len().max() > LONGEST:
            raise RequestError(f"{shown(path.name)}, column {shown(columns[key])}: a name is missing, or too long")
        found[key] = found[key].astype(str)
    found["method"] = found["method"].map(wanted.called)
    for key in ("accuracy", *(["std"] if "std" in columns else [])):
        found[key] = scale * _numbers(path, frame, columns[key], 100.0 / scale)
    if wanted.unit == "percent" and found["accuracy"].max() <= 1:
        raise RequestError(
            f"{shown(path.name)}, column {shown(columns['accuracy'])}: none is above 1 percent; say --unit fraction"
        )
    return found


def _numbers(path: Path, frame: pd.DataFrame, column: str, most: float) -> pd.Series:
    values = pd.to_numeric(frame[column], errors="coerce")
    odd = frame.index[~((values >= 0) & (values <= most))]
    if len(odd):
        raise RequestError(
            f"{shown(path.name)}, line {odd[0] + 2}, column {shown(column)}: {shown(str(frame[column][odd[0]]))} must "
            f"be a number from 0 to {most:g}"
        )
    return values.astype(float)
