"""Reading arrays of Python objects without running what a file says: arrays and plain containers, nothing else."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from pfl_bench.errors import RequestError, one_line, shown

_HARMLESS = {
    ("numpy", "ndarray"), ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer"),
    ("_codecs", "encode"), ("collections", "OrderedDict"), ("builtins", "dict"), ("builtins", "list"),
}  # fmt: skip
"""What pickled numpy arrays are made of."""


class _Reader(pickle.Unpickler):
    """An unpickler that makes arrays and containers, and refuses to look anything else up."""

    def find_class(self, module: str, name: str) -> Any:
        """The few functions that arrays are made by."""
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"it holds a {module}.{name}, which is not read")
        return super().find_class(module, name)

    def persistent_load(self, pid: Any) -> NoReturn:
        """Refused."""
        raise pickle.UnpicklingError("it refers to something outside")


def read_pickle(path: Path, source: str) -> Any:
    """The object in a pickle: arrays, numbers, texts and containers of them. RequestError for anything else."""
    try:
        if not path.is_file():
            raise RequestError(f"{source}: {path} {'is no file' if path.exists() else 'does not exist'}")
        with path.open("rb") as file:
            return _Reader(file).load()
    except RequestError:
        raise
    except Exception as error:  # pickle raises whatever damaged bytes lead to
        raise RequestError(f"{source}: {path} is not readable: {one_line(error)}") from error


def read_object(path: Path, key: str, source: str) -> Any:
    """The object in the array ``key`` of an ``.npz`` that was saved with ``np.savez(path, key=some_dict)``.

    RequestError if the file is damaged, or holds anything but arrays, numbers, texts and containers of them.
    """
    try:
        if not path.is_file():
            raise RequestError(f"{source}: {path} {'is no file' if path.exists() else 'does not exist'}")
        with zipfile.ZipFile(path) as archive:
            stream = io.BytesIO(archive.read(f"{key}.npy"))
        version = np.lib.format.read_magic(stream)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[
            version
        ]
        shape, _, dtype = read_header(stream)
        if dtype != np.dtype(object):
            raise RequestError(f"{source}: {path}: the array {key!r} holds {dtype}, not a dictionary of arrays")
        found = _Reader(stream).load()
        return found.item() if shape == () else found
    except RequestError:
        raise
    except Exception as error:  # zipfile, zlib, numpy and pickle raise whatever damaged bytes lead to
        raise RequestError(f"{source}: {path} is not readable: {one_line(error)}") from error


def read_texts(path: Path, key: str, source: str) -> np.ndarray:
    """An array of Python objects that are all texts, as an array of texts; RequestError for other objects."""
    found = np.asarray(read_object(path, key, source))
    kind = next((type(value).__name__ for value in found.ravel() if not isinstance(value, str)), None)
    if kind is not None:
        raise RequestError(
            f"{source}: {path} is not a readable .npz: its array {shown(key)} holds Python objects ({kind}), of which "
            "only texts are read; save numbers as numbers, x.astype(np.float32) or y.astype(np.int64)"
        )
    return found.astype(str)
