"""Small splits of every kind of data, made by hand."""

from typing import Any

import numpy as np

from pfl_bench.data.doors import Split
from pfl_bench.data.making import make_dataset
from pfl_bench.data.partition import Partition

SHAPES: dict[str, Any] = {
    "grey": ("image", (5, 4, 1), np.uint8), "rgb": ("image", (5, 4, 3), np.uint8),
    "channels": ("image", (5, 4, 2), np.uint8), "float image": ("image", (5, 4, 3), np.float32),
    "table": ("table", (7,), np.float32), "series": ("series", (6, 2), np.float32),
    "tokens": ("tokens", (8,), np.uint8), "many tokens": ("tokens", (8,), np.int32),
}  # fmt: skip
TRAIN, TEST, CLIENTS = 40, 20, 3
TABLE = {
    "id": "made-v1", "dataset": "made", "partition": {"rule": "iid"}, "clients": CLIENTS, "model": "mlp", "visits": 6,
    "local_steps": 2, "batch_size": 4, "eval_every": 3,
}  # fmt: skip


def made(kind: str = "grey", seed=0, *, groups=False, validation=False, novel=0) -> Split:
    """A split whose last training and test samples nobody holds."""
    rng = np.random.default_rng(seed)
    what, shape, dtype = SHAPES[kind]
    vocabulary = {"tokens": 60, "many tokens": 500}.get(kind, 0)
    key = "images" if what == "image" else "inputs"
    arrays = {}
    for part, count in (("train", TRAIN), ("validation", 8), ("test", TEST)):
        if part == "validation" and not validation:
            continue
        values = rng.normal(size=(count, *shape)) * 3 if dtype == np.float32 else None
        arrays[f"{part}_{key}"] = (
            rng.integers(0, vocabulary or 256, (count, *shape)) if values is None else values
        ).astype(dtype)
        arrays[f"{part}_labels"] = np.arange(count) % 4
        if groups:
            arrays[f"{part}_groups"] = rng.integers(0, 5, count)
    dataset = make_dataset(
        "made", arrays, kind=what, vocabulary=vocabulary, groups="groups" if groups else None,
        held_out_within="groups" if groups else "classes",
    )  # fmt: skip
    return Split(TABLE, seed, dataset, partition_of(rng, len(dataset.train_labels), novel))


def partition_of(rng, train: int, novel: int = 0) -> Partition:
    """Clients of different sizes, in any order, a few samples left over."""

    def dealt(rows, left):
        ends = np.sort(rng.choice(np.arange(1, len(rows) - left), CLIENTS - 1, replace=False))
        return tuple(np.split(rng.permutation(rows)[: len(rows) - left], ends))

    order = rng.permutation(train)
    return Partition(dealt(order[: train - 12], 4), dealt(order[train - 12 :], 0), dealt(np.arange(TEST), 3), novel)
