"""The data directory: prepared files, their recorded hashes, and what else may lie there."""

import random
from pathlib import Path

import numpy as np

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.store import load_dataset, record_hash, write_npz

from .cases import Case, damage, kind
from .npz import base, read


def _prepared(r: random.Random, folder: Path) -> ArrayDataset:
    arrays = {key: array for key, array in base(r).items() if "groups" not in key}
    for split in ("train", "test"):
        arrays[f"{split}_labels"] = arrays[f"{split}_labels"] + 3
    arrays["train_labels"][:10] = arrays["test_labels"][:10] = np.arange(10)
    write_npz(folder / "mnist.npz", arrays)
    dataset = load_dataset("mnist", folder, download=False)
    record_hash(dataset, folder)
    return dataset


@kind
def damaged(r: random.Random, folder: Path) -> Case:
    dataset, path = _prepared(r, folder), folder / "mnist.npz"
    path.write_bytes(damage(path.read_bytes(), r))
    return Case(lambda: read("mnist", folder), dataset.sha256)


@kind
def other_data_of_the_same_name(r: random.Random, folder: Path) -> Case:
    _prepared(r, folder)
    record = (folder / "mnist.json").read_text()
    (folder / "mnist.json").unlink()
    _prepared(r, folder)
    (folder / "mnist.json").write_text(record)
    return Case(lambda: read("mnist", folder))


@kind
def a_damaged_record(r: random.Random, folder: Path) -> Case:
    dataset, record = _prepared(r, folder), folder / "mnist.json"
    deep = "[" * 100_000
    bad = [b"", b"{", b"[]", b"5", b"null", b'{"sha256": 5}', b'{"sha256": "00"}', b"\xff\xfe", deep.encode(),
           b'{"sha": 1}', b'{"sha256": "' + b"a" * 10**6 + b'"}', record.read_bytes()[:40]]  # fmt: skip
    if (choice := r.randrange(len(bad) + 1)) == len(bad):
        record.unlink()
        record.mkdir()
    else:
        record.write_bytes(bad[choice])
    return Case(lambda: read("mnist", folder), dataset.sha256 if choice > len(bad) else None)


@kind
def half_written_files(r: random.Random, folder: Path) -> Case:
    dataset = _prepared(r, folder)
    (folder / f".mnist.npz.{r.randrange(99999)}").write_bytes(b"PK half")
    (folder / f".mnist.json.{r.randrange(99999)}").write_text("{")
    return Case(lambda: read("mnist", folder), dataset.sha256, must_read=True)


@kind
def no_data_directory(r: random.Random, folder: Path) -> Case:
    _prepared(r, folder)
    (folder / "file").write_text("x")
    place = r.choice([folder / "file", folder / "none", folder / ("x" * 300), folder / "mnist.npz", Path("/dev/null")])
    return Case(lambda: read("mnist", place))
