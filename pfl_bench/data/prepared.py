"""What a source fetched or read from others' files once, kept as ``<data-dir>/<name>.npz``.

Kept is only what the source can make a data set of. With it are the SHA-256 of the files in the data directory that it
was made of; where such a file has another content now, it is read anew.
"""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.error import URLError

import numpy as np

from pfl_bench.errors import RequestError, one_line, shown

from .dataset import Arrays
from .store import DataRequest, read_npz, write_npz

ORIGINALS = "__originals__"
"""The array of a kept file that has the SHA-256 of every original, empty for what was downloaded."""


def stored_arrays(
    name: str, request: DataRequest, fetch: Callable[[Path], Arrays], originals: Sequence[Path | None] = (), *,
    check: Callable[[Arrays], object] | None = None, takes_argument: bool = False, asked: str = "",
) -> Arrays:  # fmt: skip
    """Arrays of ``<data-dir>/<name>.npz``; where there is no such file, fetch them once and store them.

    ``fetch`` receives a temporary folder for its downloads. A failed download is a RequestError and leaves no file.
    ``originals``: for every file of the source its place in the data directory, which ``fetch`` reads instead of the
    network (``original_file``), or None. If one of them is not what was stored, ``fetch`` is asked again. ``check``
    receives what was fetched and raises RequestError if it is not to be stored. ``asked``: what the user calls the data
    set, if it is not its file's name.
    """
    if request.argument and not takes_argument:
        raise RequestError(f"data set {name!r} takes no argument, found {shown(request.argument)}")
    path, asked = request.data_dir / f"{name}.npz", asked or name
    present = [file for file in originals if file is not None]
    hashes = [_sha256(name, file) for file in originals] if present else []
    if path.exists():
        kept = _read(path, name, asked)
        known = [str(each) for each in np.ravel(kept.pop(ORIGINALS, np.asarray([])))]
        if _same(known, hashes):
            return kept
    if not request.download and (not present or None in originals):
        changed = f"was not made of {present[0]} as it is now" if present and path.exists() else "does not exist"
        raise RequestError(f"{name}: {path} {changed}; run 'pfl-bench data prepare {asked}'")
    arrays = _fetched(name, path, fetch, present)
    if check is not None:
        check(arrays)
    try:
        write_npz(path, {**arrays, ORIGINALS: np.asarray(hashes, dtype=np.str_)} if hashes else arrays)
    except OSError as error:
        raise RequestError(f"{name}: {path} could not be written: {one_line(error)}") from error
    found = _read(path, name, asked)
    found.pop(ORIGINALS, None)
    return found


def _same(known: Sequence[str], now: Sequence[str]) -> bool:
    """Whether what is kept was made of the originals that are there; those that are gone do not matter."""
    return not now or (len(known) == len(now) and all(new in ("", old) for old, new in zip(known, now, strict=True)))


def _sha256(name: str, file: Path | None) -> str:
    try:
        if file is None:
            return ""
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise RequestError(f"{name}: {file} is not readable: {one_line(error)}") from error


def _fetched(name: str, path: Path, fetch: Callable[[Path], Arrays], present: Sequence[Path]) -> Arrays:
    try:
        with tempfile.TemporaryDirectory(prefix=f"pfl-bench-{name}-") as folder:
            return fetch(Path(folder))
    except RequestError as error:
        raise RequestError(f"{name}: {error}") from error
    except Exception as error:  # torchvision passes on whatever urllib, ssl or tarfile raise
        if present and not isinstance(error, URLError | ConnectionError | TimeoutError):
            raise RequestError(f"{name}: {present[0]} is not readable: {one_line(error)}") from error
        raise RequestError(
            f"{name}: download failed ({one_line(error)}); connect to the network or put {path} in place"
        ) from error


def _read(path: Path, name: str, asked: str) -> dict[str, np.ndarray]:
    try:
        return read_npz(path, name)
    except RequestError as error:
        raise RequestError(f"{error}; remove it and run 'pfl-bench data prepare {asked}'") from error
