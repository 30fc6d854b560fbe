"""``csv:PATH?label=COLUMN&group=COLUMN&split=COLUMN``: a table of yours; its first line names the columns.

``group``: the natural clients. ``split``: says of each row train, validation or test; without it a fifth is held out to
test, of every group where there are groups. ``order``: a column to sort by, so that the last rows of every group are
validation and test. ``features`` and ``drop`` name columns, separated by commas; all that is not something else is a
feature. A column of up to 32 different texts becomes a feature per text. ``missing=mean``: the training mean takes the
place of what is missing; without it that is refused. ``separator=;`` where it is no comma (``tab`` for a tab).
"""

import warnings
from pathlib import Path
from typing import Any

from pfl_bench.api import ArrayDataset, DataRequest, RequestError, one_line, read_argument, register_dataset

from ._tables import OPTIONS, dataset_of_table, file_of


@register_dataset("csv", source="a file of yours", summary="csv:PATH?label=COLUMN, with group= and split= if there are")
def load(request: DataRequest) -> ArrayDataset:
    """Read a table of numbers, classes and, where there are any, groups and splits."""
    place, options = read_argument("csv", request.argument, {**OPTIONS, "separator": "CHARACTER"})
    path = file_of("csv", place, options)
    name = f"csv:{path}"
    default = "\t" if path.suffix.lower() == ".tsv" else ","
    separator = {"tab": "\t"}.get(options.get("separator", default), options.get("separator", default))
    if len(separator) != 1:
        raise RequestError(f"{name}: separator={separator[:20]!r} must be one character, or tab")
    return dataset_of_table(name, _read(name, path, separator), options)


def _read(name: str, path: Path, separator: str) -> Any:
    """The table; every row has as many fields as the first line."""
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # longer rows than the first line
            header = pd.read_csv(path, sep=separator, header=None, nrows=1, dtype=str, keep_default_na=False)
            frame = pd.read_csv(path, sep=separator, index_col=False, low_memory=False, skipinitialspace=True)
    except pd.errors.ParserWarning as error:
        raise RequestError(f"{name}: a row has more fields than the first line") from error
    except Exception as error:  # what pandas raises for damaged text has no common base
        raise RequestError(f"{name}: not readable as a table: {one_line(error)}") from error
    if len(frame.columns) == 1:
        raise RequestError(f"{name}: there is one column, {str(frame.columns[0])[:60]!r}; is the separator another?")
    return frame.set_axis([str(column).strip() for column in header.iloc[0]], axis=1)
