"""Exported partitions: damaged, foreign, and with indices that cannot be."""

import random
from pathlib import Path

import numpy as np

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.making import make_dataset
from pfl_bench.data.partition import Partition, make_partition
from pfl_bench.data.splitting import scenario_partition
from pfl_bench.spec.scenario import Scenario

from .cases import Case, damage, kind
from .npz import TESTS, base

CLIENTS = 4


def _exported(r: random.Random, folder: Path) -> tuple[Path, Partition, ArrayDataset]:
    dataset = make_dataset("x", base(r), groups="groups")
    partition = make_partition(r.choice(["iid", "shards"]), {}, dataset, CLIENTS, r.randrange(99), r.randrange(2))
    partition.save(folder / "p.npz")
    return folder / "p.npz", partition, dataset


def _case(path: Path, dataset: ArrayDataset, right: Partition, must_be_refused: bool = True, sha256: str = "") -> Case:
    scenario = Scenario.model_validate(
        {
            "id": "x-v1", "dataset": "x", "clients": CLIENTS, "novel": right.novel, "model": "mlp", "visits": 1,
            "partition": {"file": str(path), **({"sha256": sha256} if sha256 else {})},
            "local_steps": 1, "batch_size": 1, "eval_every": 1,
        }
    )  # fmt: skip

    def read() -> str:
        return scenario_partition(scenario, dataset, 0).sha256()

    return Case(read, None if must_be_refused else right.sha256())


@kind
def damaged(r: random.Random, folder: Path) -> Case:
    path, partition, dataset = _exported(r, folder)
    if r.random() < 0.5:
        np.savez_compressed(path, **np.load(path))
    path.write_bytes(damage(path.read_bytes(), r))
    return _case(path, dataset, partition, must_be_refused=False)


@kind
def other_arrays(r: random.Random, folder: Path) -> Case:
    path, partition, dataset = _exported(r, folder)
    arrays = dict(np.load(path))
    key = r.choice(list(arrays))
    value = arrays[key]
    if r.random() < 0.2:
        del arrays[key]
    elif value.dtype.kind == "U":
        arrays[key] = r.choice(
            [np.asarray("0" * 64), np.asarray(5), np.asarray([str(value)] * 2), np.asarray("x" * 9999)]
        )
    else:
        arrays[key] = r.choice(
            [value.astype(float), value.astype(str), value - 1000, value + 1000, value.astype("u8") - np.uint64(1000),
             np.stack([value, value]), np.zeros(0, np.int64), np.append(value, 3), value[None, None], value > 3,
             value.astype(np.int8) - np.int8(100)]
        )  # fmt: skip
    np.savez(path, **arrays)
    return _case(path, dataset, partition)


@kind
def indices_that_cannot_be(r: random.Random, folder: Path) -> Case:
    """With the hash that belongs to them."""
    path, partition, dataset = _exported(r, folder)
    split = r.choice(["train", "validation", "test"])
    parts = [part.copy() for part in getattr(partition, split)]
    own, other = r.sample(range(CLIENTS), 2)
    choice = r.randrange(6)
    if choice == 0:
        parts[own][0] = r.choice([-1, TESTS + 200, 2**40])
    elif choice == 1:
        parts[own][-1] = parts[other][0]
    elif choice == 2:
        parts[own] = np.append(parts[own], parts[own][0])
    elif choice == 3:
        parts[own] = parts[own][:0]
    elif choice == 4:
        parts = parts[:-1]
    else:
        parts = [*parts, parts[own][:0]]
    changed = {name: getattr(partition, name) for name in ("train", "validation", "test")} | {split: tuple(parts)}
    Partition(**changed, novel=partition.novel).save(path)
    return _case(path, dataset, partition)


@kind
def another_partition(r: random.Random, folder: Path) -> Case:
    path, partition, dataset = _exported(r, folder)
    if r.random() < 0.5:
        return _case(path, dataset, partition, sha256="ab" * 32)
    make_partition("iid", {}, dataset, CLIENTS + r.choice([-1, 1]), 0).save(path)
    return _case(path, dataset, partition)
