"""``json``: clients as LEAF writes them (Caldas et al. 2018), ``train/data.json`` and ``test/data.json``, and
``validation/data.json`` beside them.

A file has ``users``, ``num_samples`` and ``user_data`` with ``x`` and ``y`` per user. A sample is a row of numbers, an
image's or series' axes flattened in their order (height, width, channels; time, channels). Numbers are written so that
they are read as the same: bytes and tokens as whole numbers, floats with all their digits.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import SPLITS, Partition, make_partition
from pfl_bench.data.store import load_dataset
from pfl_bench.errors import RequestError

from .format import Format
from .layout import in_form, sample_shape
from .manifest import Manifest
from .split import Holding, Split, held

FILE = "data.json"


def write(split: Split, folder: Path) -> Sequence[str]:
    """A file per part, written client by client."""
    for part, clients in held(split).items():
        (folder / part).mkdir()
        with (folder / part / FILE).open("w", encoding="utf-8") as file:
            sizes = {str(client): len(labels) for client, (_, labels) in enumerate(clients)}
            file.write(f'{{"users": {json.dumps(list(sizes))}, "num_samples": {json.dumps(list(sizes.values()))},\n')
            file.write('"user_data": {\n')
            for client, (inputs, labels) in enumerate(clients):
                own = {"x": inputs.reshape(len(inputs), -1).tolist(), "y": labels.tolist()}
                file.write(f'{", " if client else ""}"{client}": {json.dumps(own)}\n')
            file.write("}}\n")
    return ()


def read(folder: Path, manifest: Manifest) -> Holding:
    """The clients' samples, with their axes."""
    found = {}
    for part in SPLITS:
        path = folder / part / FILE
        try:
            users = json.loads(path.read_text(encoding="utf-8"))["user_data"]
            clients = [users[str(client)] for client in range(manifest.partition.clients)]
        except KeyError as error:
            raise RequestError(f"{path}: {error} is missing") from error
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise RequestError(f"{path} is not readable, or not JSON with user_data: {str(error)[:100]}") from error
        found[part] = tuple(
            _client(path, client, own, size, manifest)
            for client, (own, size) in enumerate(zip(clients, manifest.sizes(part), strict=True))
        )
    return found


def _client(path: Path, client: int, own: Any, size: int, manifest: Manifest) -> tuple[np.ndarray, np.ndarray]:
    try:
        x, y = np.asarray(own["x"]), np.asarray(own["y"])
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise RequestError(f"{path}: client {client} has no x of equal rows, or no y") from error
    shape = sample_shape(manifest.input)
    x = in_form(path, f"x of client {client}", x, (size, int(np.prod(shape))), "iuf").reshape(size, *shape)
    if manifest.dtype == np.float32:
        x = x.astype(np.float32)
    return x, in_form(path, f"y of client {client}", y, (size,), "iu")


def foreign(folder: Path) -> tuple[ArrayDataset, Partition]:
    """Users as LEAF made them; validation is held out of every user's training samples."""
    dataset = load_dataset(f"leaf:{folder}")
    assert dataset.train_groups is not None
    return dataset, make_partition("natural", {}, dataset, int(dataset.train_groups.max()) + 1, 0)


FORMAT = Format("LEAF's JSON: train/data.json, test/data.json; validation/ beside", write, read, foreign)
