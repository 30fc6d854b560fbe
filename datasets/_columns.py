"""Columns of a table as arrays: classes, groups and features; what is neither number nor category is refused with its
place in the file."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from pfl_bench.api import RequestError, name_list, shown

MOST_CATEGORIES = 32
"""Different texts of a column that becomes one feature per text; a column with more is no feature."""

UNNAMED = re.compile(r"(Unnamed: \d+(\.\d+)?(_level_\d+)?|__index_level_\d+__)?")
"""What columns without a name are called, by pandas and where it wrote its row numbers to a file."""

NO_SINGLE_VALUE = (bytes, list, tuple, dict, set, np.ndarray)

DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")

Place = Callable[[int], str]
"""Where a row stands in the file, by its number from 0: ``line 7``."""


def by_row(row: int) -> str:
    """Where a row stands in a file that has no lines."""
    return f"row {row + 1}"


def column_of(name: str, frame: Any, key: str, column: str) -> Any:
    """The column that the option ``key`` of a request names."""
    if column not in frame.columns:
        listed = ", ".join(shown(c, 30) for c in frame.columns[:12]) + (", ..." if len(frame.columns) > 12 else "")
        raise RequestError(f"{name}: {key}={shown(column)} is no column; there are {listed}")
    return frame[column]


def refuse_two_roles(name: str, roles: Iterable[tuple[str, str]]) -> None:
    """RequestError for a column that two options of a request name: a class is no group, and no feature."""
    taken: dict[str, str] = {}
    for key, column in roles:
        if column in taken:
            raise RequestError(
                f"{name}: {taken[column]} and {key} both name the column {shown(column)}; each is another one"
            )
        taken[column] = key


def refuse_gaps(name: str, column: Any, place: Place) -> None:
    """RequestError for a column of classes, groups, parts or an order in which an entry is missing, or is no single
    value."""
    missing = column.isna()
    if missing.any():
        raise RequestError(
            f"{name}: column {shown(column.name)}: entries missing: {int(missing.sum())}, the first in "
            f"{_first(missing, place)}; take those out"
        )
    _refuse_nested(name, column, place)


def named_values(name: str, column: Any, place: Place) -> np.ndarray:
    """Classes, groups or parts ``[N]``: numbers, or texts. RequestError for entries that are missing."""
    refuse_gaps(name, column, place)
    if column.dtype.kind in "iub":
        return np.asarray(column.to_numpy())
    if column.dtype.kind == "f":
        return np.asarray(column.to_numpy(dtype=np.float64))
    return np.asarray(column.astype(str).to_numpy().astype(str))


def feature_columns(name: str, frame: Any, options: Mapping[str, str]) -> list[str]:
    """The columns that are features: those that ``features`` names, or all that are not something else."""
    told = {options[key] for key in ("label", "group", "split", "order") if key in options}
    for key in ("features", "drop"):
        for column in name_list(options.get(key, "")):
            column_of(name, frame, key, column)
    dropped = name_list(options.get("drop", ""))
    rest = [column for column in frame.columns if column not in told and column not in dropped]
    wanted = name_list(options["features"]) if "features" in options else rest
    if both := told & set(wanted):
        raise RequestError(f"{name}: column {shown(min(both))} is a feature and something else")
    if not wanted:
        raise RequestError(f"{name}: no column is left to be a feature")
    nameless = [column for column in rest if UNNAMED.fullmatch(column.strip())]
    if nameless and "features" not in options:
        raise RequestError(
            f"{name}: column {list(frame.columns).index(nameless[0]) + 1} has no name ({shown(nameless[0])}): most "
            f"such columns number the rows and are no feature; add drop={','.join([*dropped, *nameless])[:200]} to "
            "the request, or give it a name"
        )
    return wanted


def features(name: str, frame: Any, columns: list[str], place: Place) -> tuple[np.ndarray, list[str]]:
    """The features ``[N, d]``, NaN where one is missing, and notes on texts, which become one feature per text."""
    found, notes = [], list[str]()
    for column in columns:
        own = frame[column]
        if len(own) and own.isna().all():
            raise RequestError(
                f"{name}: column {shown(column)} has missing values only, and no other; leave it out with "
                f"drop={column[:40]}"
            )
        if own.dtype.kind in "iufb":
            _refuse_infinite(name, own, place)
            found.append(own.to_numpy(dtype=np.float64)[:, None])
            continue
        _refuse_nested(name, own, place)
        _refuse_texts_among_numbers(name, own, place)
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


def refuse_missing(name: str, frame: Any, columns: list[str], place: Place) -> None:
    """RequestError for a feature that is missing."""
    for column in columns:
        missing = frame[column].isna()
        if missing.any():
            raise RequestError(
                f"{name}: column {shown(column)} has missing values, {int(missing.sum())} in all, the first in "
                f"{_first(missing, place)}; fill them, take those rows out, or add missing=mean to the request: the "
                "training mean takes their place"
            )


def _refuse_infinite(name: str, column: Any, place: Place) -> None:
    infinite = np.isinf(column.to_numpy(dtype=np.float64))
    if infinite.any():
        raise RequestError(
            f"{name}: column {shown(column.name)}, {place(int(column.index[infinite.argmax()]))}: the value is "
            "infinite; leave it empty where it is missing"
        )


def _refuse_nested(name: str, column: Any, place: Place) -> None:
    """RequestError for a column of lists, of named values or of bytes, which files that are no text may have."""
    if column.dtype.kind != "O":
        return
    odd = column.map(lambda entry: isinstance(entry, NO_SINGLE_VALUE)).astype(bool)
    if odd.any():
        value = column[odd].iloc[0]
        kind = "bytes" if isinstance(value, bytes) else "several values"
        raise RequestError(
            f"{name}: column {shown(column.name)}, {_first(odd, place)}: the entry is {kind}, {shown(value, 40)}; a "
            "column has a number or a text in every row: write others as columns of such, or leave this one out"
        )


def _refuse_texts_among_numbers(name: str, column: Any, place: Place) -> None:
    """RequestError for a column in which half of the entries or more are numbers, and some are not: that is a slip, and
    no category."""
    import pandas as pd

    there = ~column.isna()
    numbers = pd.to_numeric(column, errors="coerce").notna()
    commas = column.astype(str).str.fullmatch(DECIMAL_COMMA.pattern) & there & ~numbers
    odd = there & ~numbers
    if not odd.any() or 2 * int((numbers | commas).sum()) < int(there.sum()):
        return
    value = str(column[odd].iloc[0])
    advice = f"leave it empty where it is missing, or the column out with drop={str(column.name)[:40]}"
    if DECIMAL_COMMA.fullmatch(value):
        advice = f"write decimals with a point, as in {value.replace(',', '.')[:40]}, and thousands without a comma"
    raise RequestError(
        f"{name}: column {shown(column.name)}, {_first(odd, place)}: {shown(value, 40)} is no number, and "
        f"{int(numbers.sum())} of {int(there.sum())} entries of the column are; {advice}"
    )


def _first(rows: Any, place: Place) -> str:
    """The place of the first row that is true."""
    return place(int(rows.idxmax()))
