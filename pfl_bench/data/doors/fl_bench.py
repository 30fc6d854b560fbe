"""``fl-bench``: the folder of a data set of FL-bench, ``data.npy``, ``targets.npy``, ``partition.pkl``, ``args.json``.

FL-bench reads arrays of one's own where the folder is called ``data/synthetic``. ``data.npy`` has the training samples
and behind them the test samples, images ``[N, C, H, W]`` and series ``[N, C, time]``; ``partition.pkl`` has per client
the indices to train, validate and test on, and which clients train. FL-bench divides data of which one value is above 1
by 255. (Facts on the layout: KarhouTam/FL-bench, ``generate_data.py`` and ``data/utils/datasets.py``, commit 06e658b.)
"""

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pfl_bench.data.object_arrays import read_pickle
from pfl_bench.data.partition import SPLITS
from pfl_bench.errors import RequestError, one_line

from .format import Format
from .layout import channels_first, channels_last, in_form
from .manifest import Manifest
from .split import Holding, Split

DATA, TARGETS, PARTITION = "data.npy", "targets.npy", "partition.pkl"
THEIRS = {"train": "train", "validation": "val", "test": "test"}


def write(split: Split, folder: Path) -> Sequence[str]:
    """Arrays, indices and what FL-bench asks of a data set's arguments."""
    data, partition = split.dataset, split.partition
    offset, novel = len(data.train_labels), partition.novel
    np.save(folder / DATA, channels_first(np.concatenate([data.train_inputs, data.test_inputs]), data.input))
    np.save(folder / TARGETS, np.concatenate([data.train_labels, data.test_labels]))
    indices = [
        {THEIRS[name]: getattr(partition, name)[client] + offset * (name == "test") for name in SPLITS}
        for client in range(partition.clients)
    ]
    training = list(range(split.train_clients))
    separation = {"train": training, "val": training, "test": training, "total": partition.clients}
    with (folder / PARTITION).open("wb") as file:
        pickle.dump({"separation": separation, "data_indices": indices}, file, protocol=4)
    held = [np.concatenate([data.train_labels[partition.train[c]], data.train_labels[partition.validation[c]],
                            data.test_labels[partition.test[c]]]) for c in range(partition.clients)]  # fmt: skip
    counts = [np.unique(own, return_counts=True) for own in held]
    stats = {c: {"x": len(own), "y": {int(k): int(n) for k, n in zip(*count, strict=True)}}
             for c, (own, count) in enumerate(zip(held, counts, strict=True))}  # fmt: skip
    arguments = {
        "dataset": "synthetic", "client_num": partition.clients, "split": "sample", "seed": split.seed,
        "class_num": data.classes, "dimension": int(np.prod(data.input.shape)), "pfl_bench": split.name,
    }  # fmt: skip
    for name, table in (("args.json", arguments), ("all_stats.json", stats)):
        (folder / name).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    notes = ["FL-bench: put the folder at data/synthetic and ask for dataset.name=synthetic"]
    if novel:
        notes.append(f"FL-bench: the last {novel} clients are novel: in partition.pkl, but nobody asks them")
    return notes


def read(folder: Path, manifest: Manifest) -> Holding:
    """The clients' samples, by the indices in ``partition.pkl``."""
    number = len(_array(folder / TARGETS))
    data = in_form(folder / DATA, "data", _array(folder / DATA), (number, *manifest.input.shape), "iuf")
    data, targets = channels_last(data, manifest.input), _array(folder / TARGETS)
    clients = read_pickle(folder / PARTITION, "fl-bench")
    try:
        each = clients["data_indices"]
        owned = {part: [np.asarray(own[name]) for own in each] for part, name in THEIRS.items()}
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise RequestError(f"{folder / PARTITION} has no data_indices with train, val and test per client") from error
    found: dict[str, Any] = {}
    for part, rows in owned.items():
        if [len(own) for own in rows] != manifest.sizes(part):
            raise RequestError(f"{folder / PARTITION}: the clients' {part} samples are not as many as were exported")
        for own in rows:
            if own.dtype.kind not in "iu" or own.min() < 0 or own.max() >= number:
                raise RequestError(f"{folder / PARTITION}: a {part} index lies outside 0..{number - 1} of {TARGETS}")
        found[part] = tuple((data[own], targets[own]) for own in rows)
    return found


def _array(path: Path) -> np.ndarray:
    """An array of numbers, read without pickle."""
    try:
        if not path.is_file():
            raise RequestError(f"fl-bench: {path} {'is no file' if path.exists() else 'does not exist'}")
        found: np.ndarray = np.load(path, allow_pickle=False)
    except RequestError:
        raise
    except Exception as error:  # what numpy raises for damaged bytes has no common base
        raise RequestError(f"fl-bench: {path} is not readable: {one_line(error)}") from error
    if not isinstance(found, np.ndarray) or found.ndim < 1:
        raise RequestError(f"fl-bench: {path} is no array with samples")
    return found


FORMAT = Format("FL-bench's folder: data.npy, targets.npy, partition.pkl, args.json", write, read)
