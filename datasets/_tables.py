"""A table with named columns as a data set: which are features, and what becomes of those that are no numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pfl_bench.api import ArrayDataset, RequestError, coded, dataset_of_rows, name_list, shown

OPTIONS = {
    "label": "COLUMN of the classes",
    "group": "COLUMN of the natural clients",
    "split": "COLUMN that says train, validation or test",
    "order": "COLUMN to sort by; the last samples are test",
    "features": "COLUMN,COLUMN",
    "drop": "COLUMN,COLUMN",
    "missing": "mean",
}
MOST_CATEGORIES = 32
"""Different texts of a column that becomes one feature per text; a column with more is no feature."""


def file_of(source: str, place: str, options: Mapping[str, str]) -> Path:
    """The file of a request; RequestError if it is none, or names no label column."""
    path = Path(place)
    if not place:
        raise RequestError(f"data set {source!r} needs a path: {source}:PATH?label=COLUMN")
    if not path.is_file():  # a pipe would be waited for
        raise RequestError(f"{source}: {path} {'is no file' if path.exists() else 'does not exist'}")
    if "label" not in options:
        raise RequestError(f"{source}: {path}: say which column has the classes: {source}:{path}?label=COLUMN")
    return path


def dataset_of_table(name: str, frame: Any, options: Mapping[str, str]) -> ArrayDataset:
    """The data set in a pandas frame, by the ``OPTIONS`` of a request."""
    columns = [str(column) for column in frame.columns]
    doubled = next((column for column in columns if columns.count(column) > 1), None)
    if doubled is not None:
        raise RequestError(f"{name}: two columns are called {shown(doubled)}")
    frame = frame.set_axis(columns, axis=1)
    if options.get("missing", "mean") != "mean":
        raise RequestError(f"{name}: missing={shown(options['missing'])} must be mean, or left out to refuse them")
    special = {key: _column(name, frame, key, options[key]) for key in ("label", "group", "split", "order")
               if key in options}  # fmt: skip
    if "order" in options:
        frame = frame.sort_values(options["order"], kind="stable")
        special = {key: frame[options[key]] for key in special}
    inputs, notes = _features(name, frame, _wanted(name, frame, options))
    labels, more = coded(f"{name}: label column {options['label']!r}", _values(special["label"]))
    notes += more
    groups, parts = None, None
    if "group" in special:
        groups, more = coded(f"{name}: group column {options['group']!r}", _values(special["group"]))
        notes += more
    if "split" in special:
        parts = _values(special["split"])
    return dataset_of_rows(
        name, inputs, labels, kind="table", groups=groups, splits=parts, in_order="order" in options, notes=notes,
        missing=options.get("missing", "refused"),
    )  # fmt: skip


def _column(name: str, frame: Any, key: str, column: str) -> Any:
    if column not in frame.columns:
        listed = ", ".join(shown(c, 30) for c in frame.columns[:12]) + (", ..." if len(frame.columns) > 12 else "")
        raise RequestError(f"{name}: {key}={shown(column)} is no column; there are {listed}")
    return frame[column]


def _values(column: Any) -> np.ndarray:
    """A column as an array; texts as such. RequestError for a text that is missing."""
    if column.dtype.kind in "iub":
        return column.to_numpy()
    if column.dtype.kind == "f":
        return column.to_numpy(dtype=np.float64)
    if column.isna().any():
        raise RequestError(f"column {column.name!r}: {int(column.isna().sum())} entries are missing; take those out")
    return column.astype(str).to_numpy().astype(str)


def _wanted(name: str, frame: Any, options: Mapping[str, str]) -> list[str]:
    """The columns that are features: those named, or all that are not something else."""
    told = {options[key] for key in ("label", "group", "split", "order") if key in options}
    for key in ("features", "drop"):
        for column in name_list(options.get(key, "")):
            _column(name, frame, key, column)
    wanted = name_list(options["features"]) if "features" in options else [c for c in frame.columns if c not in told]
    wanted = [column for column in wanted if column not in name_list(options.get("drop", ""))]
    if "features" in options and (both := told & set(wanted)):
        raise RequestError(f"{name}: column {shown(min(both))} is a feature and something else")
    if not wanted:
        raise RequestError(f"{name}: no column is left to be a feature")
    return wanted


def _features(name: str, frame: Any, wanted: list[str]) -> tuple[np.ndarray, list[str]]:
    """The features ``[N, d]``, and notes on columns of texts, which become one feature per text."""
    found, notes = [], list[str]()
    for column in wanted:
        own = frame[column]
        if own.dtype.kind in "iufb":
            found.append(own.to_numpy(dtype=np.float64)[:, None])
            continue
        texts = sorted({str(text) for text in own.dropna().unique()})
        if len(texts) > MOST_CATEGORIES:
            raise RequestError(
                f"{name}: column {shown(column)} has {len(texts)} different texts ({shown(texts[0], 30)}, ...): it is "
                f"no number and no category; leave it out with drop={column[:40]}"
            )
        each = (own.astype(str).to_numpy()[:, None] == np.asarray(texts, dtype=object)).astype(np.float64)
        each[own.isna().to_numpy()] = np.nan
        found.append(each)
        notes.append(f"column {shown(column)} becomes {len(texts)} features, one for each of its texts")
    return np.concatenate(found, axis=1), notes
