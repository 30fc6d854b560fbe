"""Where data sets come from: sources by name, and ``.npz`` files in the data directory (``prepared.py`` makes them).

A source is a function ``DataRequest -> ArrayDataset``. What it fetches is stored once and its SHA-256 recorded.
"""

import json
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from pfl_bench.errors import RequestError, no_file, one_line, placed, shown
from pfl_bench.files import expanded
from pfl_bench.registry import DATASETS

from .dataset import ArrayDataset, Arrays
from .object_arrays import read_texts


@dataclass(frozen=True)
class DataRequest:
    """What a data source is asked for: where prepared files live, its argument (``npz:ARGUMENT``), and whether
    it may use the network."""

    data_dir: Path
    argument: str = ""
    download: bool = True


def default_data_dir() -> Path:
    """``$PFL_BENCH_DATA``, else the platform's cache folder for this user."""
    configured = os.environ.get("PFL_BENCH_DATA")
    return expanded(configured) if configured else Path(platformdirs.user_cache_dir("pfl-bench"))


def register_dataset(
    name: str, **info: str
) -> Callable[[Callable[[DataRequest], ArrayDataset]], Callable[[DataRequest], ArrayDataset]]:
    """Register a function ``DataRequest -> ArrayDataset`` as the data source ``name``."""
    return DATASETS.register(name, **info)


def load_dataset(spec: str, data_dir: Path | None = None, download: bool = True) -> ArrayDataset:
    """Load ``NAME`` or ``NAME:ARGUMENT``; every problem with the name or the data is a RequestError.

    The SHA-256 of a fetched data set is recorded beside it and compared at every later load.
    """
    name, _, argument = spec.partition(":")
    source = DATASETS.get(name)
    argument = str(expanded(argument)) if argument.startswith("~") else argument
    folder = data_dir or default_data_dir()
    try:
        fetched = not (folder / f"{name}.npz").exists()
        dataset = source(DataRequest(folder, argument, download))
        if not isinstance(dataset, ArrayDataset):
            raise RequestError(f"data set {name!r}: its source gave a {type(dataset).__name__}, no ArrayDataset")
        if fetched and ":" not in dataset.name and (folder / f"{name}.npz").exists():
            record_hash(dataset, folder)
        check_hash(dataset, folder)
    except RequestError:
        raise
    except Exception as error:  # a source may be anybody's, and reads what others wrote
        origin = DATASETS.entry(name).origin
        raise RequestError(f"data set {shown(spec)} could not be loaded: {placed(error, [origin], [])}") from error
    return dataset


def record_hash(dataset: ArrayDataset, data_dir: Path) -> None:
    """Record a data set's SHA-256 in ``<data-dir>/<name>.json``, written beside its place and renamed."""
    place = data_dir / f"{dataset.name}.json"
    with _beside(place) as beside:
        beside.write_text(json.dumps({"sha256": dataset.sha256}) + "\n", encoding="utf-8")


def check_hash(dataset: ArrayDataset, data_dir: Path) -> None:
    """RequestError if a SHA-256 is recorded for this data set and it is another one."""
    record = data_dir / f"{dataset.name}.json"
    if not record.exists() and not record.is_symlink():
        return
    if not record.is_file():
        raise RequestError(f"{dataset.name}: {record} is no file; remove it to accept the data as it is")
    try:
        expected = json.loads(record.read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RequestError(f"{dataset.name}: {record} is damaged; remove it to accept the data as it is") from error
    if expected != dataset.sha256:
        raise RequestError(
            f"{dataset.name}: SHA-256 is {dataset.sha256}, but {record} says {str(expected)[:80]}: the data has "
            f"changed since; remove {record} to accept it as it is"
        )


def read_npz(path: Path, name: str) -> dict[str, np.ndarray]:
    """Read an ``.npz`` and run nothing in it; a missing, truncated, damaged or foreign file is a RequestError."""
    try:
        if not path.is_file():  # a pipe would be waited for
            raise RequestError(f"{name}: {no_file(path)}")
        if not zipfile.is_zipfile(path):
            raise RequestError(f"{name}: {path} is not a readable .npz: it is no zip archive, or cut short")
        with np.load(path, allow_pickle=False) as archive:
            if len(set(archive.files)) != _announced(path):
                raise RequestError(f"{name}: {path} is not a readable .npz: its list of arrays is damaged")
            return {key: _array(archive, key, path, name) for key in archive.files}
    except RequestError:
        raise
    except Exception as error:  # what numpy, zipfile and zlib raise for damaged bytes has no common base
        raise RequestError(f"{name}: {path} is not a readable .npz: {one_line(error)}") from error


def _array(archive: Any, key: str, path: Path, name: str) -> np.ndarray:
    """One array of an archive; of Python objects, which numpy does not read without running them, texts."""
    try:
        found: np.ndarray = archive[key]
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        return read_texts(path, key, name)
    return found


def _announced(path: Path) -> int:
    """How many members a zip archive says it has at its end; a damaged list of them may be read as a shorter one."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2**16 - 22))
        tail = file.read()
    (number,) = struct.unpack_from("<H", tail, tail.rfind(b"PK\5\6") + 10)
    return int(number)


def write_npz(path: Path, arrays: Arrays) -> None:
    """Write an ``.npz`` beside its place and rename it, so that no half file is ever found."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _beside(path) as beside, beside.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


@contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """A path to write to; what is there at the end takes its place, unless something went wrong."""
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        yield beside
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)
