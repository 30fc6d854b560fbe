"""A table with named columns as a data set, by the options of a request."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pfl_bench.api import ArrayDataset, RequestError, coded, dataset_of_rows, no_file, shown

from ._columns import (
    Place,
    by_row,
    column_of,
    feature_columns,
    features,
    named_values,
    refuse_gaps,
    refuse_missing,
    refuse_two_roles,
)

OPTIONS = {
    "label": "COLUMN of the classes",
    "group": "COLUMN of the natural clients",
    "split": "COLUMN that says train, validation or test",
    "order": "COLUMN to sort by; the last samples are test",
    "features": "COLUMN,COLUMN",
    "drop": "COLUMN,COLUMN",
    "missing": "mean",
}


def file_of(source: str, place: str, options: Mapping[str, str]) -> Path:
    """The file of a request; RequestError if it is none, or names no label column."""
    path = Path(place)
    if not place:
        raise RequestError(f"data set {source!r} needs a path: {source}:PATH?label=COLUMN")
    if not path.is_file():  # a pipe would be waited for
        raise RequestError(f"{source}: {no_file(path)}")
    if "label" not in options:
        raise RequestError(f"{source}: {path}: say which column has the classes: {source}:{path}?label=COLUMN")
    return path


def dataset_of_table(
    name: str, frame: Any, options: Mapping[str, str], place: Place = by_row, notes: Sequence[str] = ()
) -> ArrayDataset:
    """The data set in a pandas frame whose index numbers its rows from 0. ``place``: where a row stands in the file."""
    columns = [str(column) for column in frame.columns]
    doubled = next((column for column in columns if columns.count(column) > 1), None)
    if doubled is not None:
        raise RequestError(f"{name}: two columns are called {shown(doubled)}")
    frame = frame.set_axis(columns, axis=1)
    _refuse_without_meaning(name, options)
    refuse_two_roles(name, [(key, options[key]) for key in ("label", "group", "split", "order") if key in options])
    if options.get("missing", "mean") != "mean":
        raise RequestError(f"{name}: missing={shown(options['missing'])} must be mean, or left out to refuse them")
    special = {key: column_of(name, frame, key, options[key]) for key in ("label", "group", "split", "order")
               if key in options}  # fmt: skip
    if "order" in options:
        refuse_gaps(name, special["order"], place)
        frame = frame.sort_values(options["order"], kind="stable")
        special = {key: frame[options[key]] for key in special}
    wanted = feature_columns(name, frame, options)
    inputs, said = features(name, frame, wanted, place)
    if "missing" not in options:
        refuse_missing(name, frame, wanted, place)
    values = {key: named_values(name, special[key], place) for key in ("label", "group", "split") if key in special}
    codes, said = {}, [*notes, *said]
    for key in ("label", "group"):
        if key in values:
            codes[key], more = coded(f"{key} column {options[key]!r}", values[key], name)
            said += more
    return dataset_of_rows(
        name, inputs, codes["label"], kind="table", groups=codes.get("group"), splits=values.get("split"),
        in_order="order" in options, notes=said, missing=options.get("missing", "refused"),
        group_names=values.get("group"),
    )  # fmt: skip


def _refuse_without_meaning(name: str, options: Mapping[str, str]) -> None:
    """RequestError for an option that another one makes void."""
    for key, other, advice in (
        ("order", "split", f"the file names the parts; leave the column out with drop={options.get('order', '')[:40]}"),
        ("drop", "features", "that names all columns that are used"),
    ):
        if key in options and other in options:
            raise RequestError(f"{name}: {key}={shown(options[key])} has no meaning beside {other}=: {advice}")
