"""``csv:PATH?label=COLUMN&group=COLUMN&split=COLUMN``: a table of yours; its first line names the columns.

``group``: the natural clients. ``split``: says of each row train, validation or test; without it a fifth is held out to
test, of every group where there are groups. ``order``: a column to sort by, so that the last rows of every group are
validation and test. ``features`` and ``drop`` name columns, separated by commas; all that is not something else is a
feature. A column of up to 32 different texts becomes a feature per text. ``missing=mean``: the training mean takes the
place of what is missing; without it that is refused. ``separator=;`` where it is no comma (``tab`` for a tab). A column
without a name is refused unless ``drop`` or ``features`` names it: mostly it numbers the rows.
"""

import csv
import warnings
from pathlib import Path
from typing import Any

from pfl_bench.api import ArrayDataset, DataRequest, RequestError, one_line, read_argument, register_dataset

from ._columns import by_row
from ._tables import OPTIONS, dataset_of_table, file_of


@register_dataset("csv", source="a file of yours", summary="csv:PATH?label=COLUMN, with group= and split= if there are")
def load(request: DataRequest) -> ArrayDataset:
    """Read a table of numbers, classes and, where there are any, groups and splits."""
    target, options = read_argument("csv", request.argument, {**OPTIONS, "separator": "CHARACTER"})
    path = file_of("csv", target, options)
    name = f"csv:{path}"
    default = "\t" if path.suffix.lower() == ".tsv" else ","
    separator = {"tab": "\t"}.get(options.get("separator", default), options.get("separator", default))
    if len(separator) != 1:
        raise RequestError(f"{name}: separator={separator[:20]!r} must be one character, or tab")
    encoding = _encoding(path)

    def place(row: int) -> str:
        line = line_of(path, row, separator, encoding)
        return by_row(row) if line is None else f"line {line}"

    return dataset_of_table(name, _read(name, path, separator, encoding), options, place)


def _encoding(path: Path) -> str:
    """UTF-8, or UTF-16 where the file begins with its mark (as spreadsheets save "Unicode text")."""
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def line_of(path: Path, row: int, separator: str, encoding: str) -> int | None:
    """The line, from 1, on which a row begins; None if the file is compressed. ``row``: its number from 0, without the
    header and without empty lines, which pandas passes over."""
    number, begins = -1, 1
    try:
        with path.open(encoding=encoding, newline="") as file:
            reader = csv.reader(file, delimiter=separator, skipinitialspace=True)
            for record in reader:
                if len(record) > 1 or "".join(record).strip():
                    if number == row:
                        return begins
                    number += 1
                begins = reader.line_num + 1
    except (OSError, UnicodeError, csv.Error):
        return None
    return None


def _read(name: str, path: Path, separator: str, encoding: str) -> Any:
    """The table; every row has as many fields as the first line."""
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # longer rows than the first line
            header = pd.read_csv(
                path, sep=separator, header=None, nrows=1, dtype=str, keep_default_na=False, encoding=encoding
            )
            frame = pd.read_csv(
                path, sep=separator, index_col=False, low_memory=False, skipinitialspace=True, encoding=encoding
            )
    except pd.errors.ParserWarning as error:
        raise RequestError(f"{name}: a row has more fields than the first line; is the separator another?") from error
    except UnicodeError as error:
        raise RequestError(
            f"{name}: not readable as a table: it is no UTF-8 text ({one_line(error)}); save it as CSV in UTF-8"
        ) from error
    except Exception as error:  # what pandas raises for damaged text has no common base
        raise RequestError(f"{name}: not readable as a table: {one_line(error)}") from error
    if len(frame.columns) == 1:
        raise RequestError(f"{name}: there is one column, {str(frame.columns[0])[:60]!r}; is the separator another?")
    return frame.set_axis(_names([str(column).strip() for column in header.iloc[0]]), axis=1)


def _names(header: list[str]) -> list[str]:
    """The columns' names; one without is called as pandas calls it, so that a request can name it."""
    found = list[str]()
    for at, name in enumerate(header):
        own = name or f"Unnamed: {at}"
        while not name and own in header:
            own += ".1"
        found.append(own)
    return found
