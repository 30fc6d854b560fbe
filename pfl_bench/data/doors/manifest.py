"""What lies beside every export: which scenario it is of, what the samples are, who holds which, and the hashes.

``pfl-bench.json`` says it in words and numbers, ``pfl-bench.npz`` has the indices of the partition and what the form
has no place for: samples that nobody holds, natural groups, and which samples the source validates on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pfl_bench.data.exported import Parts, parts_of
from pfl_bench.data.inputs import InputSpec
from pfl_bench.data.partition import SPLITS, Partition
from pfl_bench.data.store import read_npz, write_npz
from pfl_bench.errors import RequestError, shown
from pfl_bench.files import read_text

from .split import Split, data_hash, part_of

JSON, ARRAYS = "pfl-bench.json", "pfl-bench.npz"
VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """A manifest as read: ``facts`` are the numbers of the data set that are in no array, ``rest`` the arrays beside
    the partition."""

    format: str
    scenario: Mapping[str, Any]
    seed: int
    input: InputSpec
    dtype: np.dtype
    facts: Mapping[str, Any]
    source_sha256: str
    data_sha256: str
    partition: Partition
    rest: Mapping[str, np.ndarray]

    def sizes(self, split: str) -> list[int]:
        """How many samples each client has."""
        return [len(own) for own in getattr(self.partition, split)]


def write_manifest(split: Split, format: str, folder: Path) -> None:
    """Write both files into an export's folder."""
    data, partition = split.dataset, split.partition
    table = {
        "version": VERSION,
        "format": format,
        "scenario": dict(split.scenario),
        "seed": split.seed,
        "data": {
            "name": data.name, "kind": data.input.kind, "shape": list(data.input.shape),
            "vocabulary": data.input.vocabulary, "dtype": data.train_inputs.dtype.name, "classes": data.classes,
            "mean": list(data.mean), "std": list(data.std), "validation_share": data.validation_share,
            "held_out_within": data.held_out_within, "source_sha256": data.sha256, "sha256": data_hash(data),
        },
        "partition": {
            "clients": partition.clients, "novel": partition.novel, "sha256": partition.sha256(),
            "groups": [groups.tolist() for groups in partition.groups],
        },
    }  # fmt: skip
    (folder / JSON).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    arrays = {f"{name}_indices": np.concatenate(getattr(partition, name)) for name in SPLITS}
    arrays |= {f"{name}_sizes": np.asarray([len(o) for o in getattr(partition, name)]) for name in SPLITS}
    write_npz(folder / ARRAYS, arrays | _rest(split))


def _rest(split: Split) -> dict[str, np.ndarray]:
    """What no client's samples say."""
    data, partition = split.dataset, split.partition
    found = {"train_groups": data.train_groups, "test_groups": data.test_groups, "validation": data.validation}
    rest = {name: array for name, array in found.items() if array is not None}
    for part, own in (("train", partition.train + partition.validation), ("test", partition.test)):
        inputs, labels = part_of(data, part)
        rows = np.setdiff1d(np.arange(len(labels)), np.concatenate(own))
        rest |= {f"{part}_rest": rows, f"{part}_rest_inputs": inputs[rows], f"{part}_rest_labels": labels[rows]}
    return rest


def has_manifest(folder: Path) -> bool:
    """Whether a folder is an export of ours."""
    return (folder / JSON).is_file()


def read_manifest(folder: Path) -> Manifest:
    """Read both files. RequestError names the file, the field and what is wrong with it."""
    path = folder / JSON
    try:
        table = json.loads(read_text(path, "manifest"))
        if table["version"] != VERSION:
            raise RequestError(f"{path}: version={shown(table['version'])} must be {VERSION}, as this pfl-bench writes")
        data, partition = table["data"], table["partition"]
        input = InputSpec(data["kind"], tuple(map(int, data["shape"])), int(data["vocabulary"]))
        arrays = read_npz(folder / ARRAYS, str(path))
        return Manifest(
            str(table["format"]), dict(table["scenario"]), int(table["seed"]), input, _dtype(data["dtype"]),
            {"classes": int(data["classes"]), "mean": tuple(map(float, data["mean"])),
             "std": tuple(map(float, data["std"])), "validation_share": float(data["validation_share"]),
             "held_out_within": str(data["held_out_within"])},
            str(data["source_sha256"]), str(data["sha256"]), _partition(folder, partition, arrays),
            {name: array for name, array in arrays.items() if not name.endswith(("_indices", "_sizes"))},
        )  # fmt: skip
    except RequestError:
        raise
    except KeyError as error:
        raise RequestError(f"{path} is no manifest of an export: {error} is missing") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RequestError(f"{path} is no manifest of an export, or was changed: {str(error)[:200]}") from error


def _dtype(name: object) -> np.dtype:
    if name not in ("uint8", "int32", "float32"):
        raise ValueError(f"dtype={shown(name)} must be uint8, int32 or float32")
    return np.dtype(str(name))


def _partition(folder: Path, table: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Partition:
    """The partition, which must have the hash that the manifest says."""
    parts: Parts = {split: parts_of(arrays, split) for split in SPLITS}
    groups = tuple(np.asarray(own, dtype=np.int64) for own in table["groups"])
    found = Partition(parts["train"], parts["validation"], parts["test"], int(table["novel"]), (), groups)
    if found.sha256() != table["sha256"]:
        raise RequestError(
            f"{folder / ARRAYS}: the partition in it does not have the hash {shown(str(table['sha256'])[:12])} that "
            f"{JSON} says; export anew"
        )
    return found
