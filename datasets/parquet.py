"""``parquet:PATH?label=COLUMN&group=COLUMN&split=COLUMN``: a table of yours; options as those of ``csv``.

Needs pyarrow (``pip install 'pfl-bench[parquet]'``). Decimals are read as numbers; lists and other entries of several
values are no features. Where the file has checksums of its pages, they are compared.
"""

import importlib.util
from pathlib import Path
from typing import Any

from pfl_bench.api import ArrayDataset, DataRequest, RequestError, one_line, read_argument, register_dataset, shown

from ._tables import OPTIONS, dataset_of_table, file_of


@register_dataset("parquet", source="a file of yours", summary="parquet:PATH?label=COLUMN, as csv")
def load(request: DataRequest) -> ArrayDataset:
    """Read a table of numbers, classes and, where there are any, groups and splits."""
    place, options = read_argument("parquet", request.argument, OPTIONS)
    path = file_of("parquet", place, options)
    if importlib.util.find_spec("pyarrow") is None:
        raise RequestError("parquet: reading needs pyarrow; pip install 'pfl-bench[parquet]'")
    try:
        frame, notes = with_index(_read(path))
    except RequestError:
        raise
    except Exception as error:  # pyarrow's errors have no common base
        raise RequestError(f"parquet: {path} is not readable: {one_line(error)}") from error
    return dataset_of_table(f"parquet:{path}", frame, options, notes=notes)


def _read(path: Path) -> Any:
    """The table as a pandas frame, decimals as float64."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    doubled = next((column for column in schema.names if schema.names.count(column) > 1), None)
    if doubled is not None:
        raise RequestError(f"parquet:{path}: two columns are called {shown(doubled)}")
    frame = pd.read_parquet(path, engine="pyarrow", page_checksum_verification=True)
    decimals = [field.name for field in schema if pa.types.is_decimal(field.type) and field.name in frame]
    return frame.astype(dict.fromkeys(decimals, "float64"))


def with_index(frame: Any) -> tuple[Any, list[str]]:
    """A table whose index numbers the rows; an index with names becomes columns, another one is left out and told."""
    import pandas as pd

    named = [level for level, name in enumerate(frame.index.names) if name is not None]
    plain = isinstance(frame.index, pd.RangeIndex) or len(named) == frame.index.nlevels
    notes = [] if plain else ["the index of the table, or a part of it, has no name and is no feature"]
    kept = frame.reset_index(level=named) if named else frame
    return kept.reset_index(drop=True), notes
