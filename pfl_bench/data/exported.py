"""An exported partition as a file: index arrays and sizes of every split, the number of novel clients, the hash."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pfl_bench.errors import RequestError

from .store import read_npz, write_npz

Parts = Mapping[str, tuple[np.ndarray, ...]]


def write_exported(path: Path, parts: Parts, novel: int, sha256: str) -> None:
    """Write an ``.npz`` with ``<split>_indices``, ``<split>_sizes`` ``[clients]``, ``novel`` and ``sha256``."""
    arrays: dict[str, np.ndarray] = {"novel": np.asarray(novel), "sha256": np.asarray(sha256)}
    for split, own in parts.items():
        arrays[f"{split}_indices"] = np.concatenate(own)
        arrays[f"{split}_sizes"] = np.asarray([len(part) for part in own], dtype=np.int64)
    write_npz(path, arrays)


def read_exported(path: Path, splits: tuple[str, ...]) -> tuple[dict[str, tuple[np.ndarray, ...]], int, str]:
    """Parts, novel clients and the recorded hash; RequestError names what in the file is no partition's."""
    arrays = read_npz(path, "partition")
    try:
        parts = {split: parts_of(arrays, split) for split in splits}
        novel, sha256 = _whole(arrays, "novel"), arrays["sha256"]
    except KeyError as error:
        raise RequestError(f"partition: {path} is not an exported partition: {error} is missing") from error
    except ValueError as error:
        raise RequestError(f"partition: {path} is not an exported partition: {error}") from error
    clients = {split: len(own) for split, own in parts.items()}
    if len(set(clients.values())) > 1:
        raise RequestError(f"partition: {path} is not an exported partition: its splits differ in clients: {clients}")
    number = clients[splits[0]]
    if novel.shape != () or not 0 <= int(novel) < number:
        raise RequestError(f"partition: {path}: novel must be a number from 0 to {number - 1}, one below its clients")
    if sha256.shape != () or sha256.dtype.kind != "U":
        raise RequestError(f"partition: {path}: sha256 must be a text, found {sha256.dtype} {sha256.shape}")
    return parts, int(novel), str(sha256)


def parts_of(arrays: Mapping[str, np.ndarray], split: str) -> tuple[np.ndarray, ...]:
    """One index array per client; ValueError if sizes and indices do not go together."""
    indices, sizes = _whole(arrays, f"{split}_indices"), _whole(arrays, f"{split}_sizes")
    if indices.ndim != 1 or sizes.ndim != 1 or not len(sizes):
        raise ValueError(f"{split}_indices and {split}_sizes must have one axis, found {indices.shape} {sizes.shape}")
    if sizes.min() < 0 or sizes.max() > len(indices) or int(sizes.sum()) != len(indices):
        raise ValueError(f"{split}_sizes must be at least 0 and add up to the {len(indices)} {split}_indices")
    return tuple(np.split(indices, np.cumsum(sizes)[:-1]))


def _whole(arrays: Mapping[str, np.ndarray], key: str) -> np.ndarray:
    """An array of whole numbers as int64."""
    array = arrays[key]
    if array.dtype.kind not in "iu":
        raise ValueError(f"{key} must be whole numbers, found {array.dtype}")
    if array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise ValueError(f"{key} has the value {array.max()}, which is no index")
    return array.astype(np.int64)
