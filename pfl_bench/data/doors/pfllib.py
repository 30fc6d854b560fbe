"""``pfllib``: the folder that PFLlib trains on, ``train/0.npz`` and ``test/0.npz``, a file per client.

Each holds ``data``, a pickled dictionary with ``x`` and ``y``. As its generators write them, images are float32
``[N, C, H, W]`` from -1 to 1 where ours have bytes, and series ``[N, C, 1, time]``. PFLlib has no validation part: its
training samples are ours and no more, and those of validation lie in ``validation/``, which it does not look at and the
source ``pfllib:`` does. (Facts: TsingZ0/PFLlib, ``dataset/utils/dataset_utils.py``, commit d832e76.)
"""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.object_arrays import read_object
from pfl_bench.data.partition import SPLITS, Partition, make_partition
from pfl_bench.data.store import load_dataset
from pfl_bench.errors import RequestError

from .format import Format
from .layout import channels_first, channels_last, in_form
from .manifest import Manifest
from .split import Holding, Split, held

HALF = np.float32(127.5)


def write(split: Split, folder: Path) -> Sequence[str]:
    """A file per client and part, and ``config.json``."""
    for part, clients in held(split).items():
        (folder / part).mkdir()
        for client, (inputs, labels) in enumerate(clients):
            _write(folder / part / f"{client}.npz", {"x": _theirs(inputs, split), "y": labels})
    (folder / "config.json").write_text(json.dumps(_config(split)) + "\n", encoding="utf-8")
    asked = f"-data {split.name} -ncl {split.dataset.classes} -nc {split.train_clients}"
    notes = [f"PFLlib: put the folder into its dataset/ and ask for {asked}"
             + (f" -nnc {split.partition.novel}" if split.partition.novel else "")
             + "; it trains on train/ and does not look at validation/"]  # fmt: skip
    if split.dataset.input.kind == "tokens":
        notes.append("PFLlib reads tokens only from a folder with Shakespeare in its name; call it so")
    return notes


def _write(path: Path, data: dict[str, np.ndarray]) -> None:
    """As ``np.savez_compressed(path, data=data)``, but compressed less: several times as fast."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("data.npy", "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array(file, np.asarray(data, dtype=object), allow_pickle=True)


def _theirs(inputs: np.ndarray, split: Split) -> np.ndarray:
    values = channels_first(inputs, split.dataset.input)
    if split.dataset.input.kind == "series":
        return values[:, :, None, :]
    if split.dataset.input.kind == "tokens":
        return values.astype(np.int64)
    return values if values.dtype != np.uint8 else values.astype(np.float32) / HALF - np.float32(1)


def _config(split: Split) -> dict[str, object]:
    """What PFLlib's generators write beside the data: nothing there reads it but they."""
    own = split.partition.train
    counts = [np.unique(split.dataset.train_labels[rows], return_counts=True) for rows in own]
    sizes = [[[int(label), int(n)] for label, n in zip(*each, strict=True)] for each in counts]
    return {
        "num_clients": len(own), "num_classes": split.dataset.classes, "non_iid": True, "balance": False,
        "partition": f"pfl-bench {split.name}", "Size of samples for labels in clients": sizes, "alpha": None,
        "batch_size": split.scenario["batch_size"],
    }  # fmt: skip


def read(folder: Path, manifest: Manifest) -> Holding:
    """The clients' samples in our layout and type."""
    return {
        part: tuple(
            _read(folder / part / f"{client}.npz", size, manifest) for client, size in enumerate(manifest.sizes(part))
        )
        for part in SPLITS
    }


def _read(path: Path, size: int, manifest: Manifest) -> tuple[np.ndarray, np.ndarray]:
    data = read_object(path, "data", "pfllib")
    if not isinstance(data, dict) or not {"x", "y"} <= data.keys():
        raise RequestError(f"pfllib: {path} has no dictionary with x and y")
    input, shape = manifest.input, (size, *manifest.input.shape)
    series = input.kind == "series"
    x = in_form(path, "x", data["x"], (*shape[:2], 1, *shape[2:]) if series else shape, "fiu")
    y = in_form(path, "y", data["y"], (size,), "iu")
    x = channels_last(x[:, :, 0] if series else x, input)
    if manifest.dtype == np.uint8 and input.kind == "image":
        x = np.rint((x + np.float32(1)) * HALF)
    return x, y


def foreign(folder: Path) -> tuple[ArrayDataset, Partition]:
    """Clients and split as PFLlib made them; validation is held out of every client's training samples."""
    dataset = load_dataset(f"pfllib:{folder}")
    assert dataset.train_groups is not None
    return dataset, make_partition("natural", {}, dataset, int(dataset.train_groups.max()) + 1, 0)


FORMAT = Format("PFLlib's folder: train/0.npz, test/0.npz, config.json; validation/ beside", write, read, foreign)
