"""``npz:PATH``: damaged files, foreign files, arrays that do not fit, numbers with gaps."""

import io
import os
import random
import struct
import zipfile
from pathlib import Path

import numpy as np

from pfl_bench.data.making import make_dataset
from pfl_bench.data.partition import make_partition
from pfl_bench.data.store import load_dataset

from .cases import Case, damage, kind

N, TESTS, CLASSES = 120, 40, 4


def base(r: random.Random) -> dict[str, np.ndarray]:
    """A small data set with groups, in which all is right."""
    rng = np.random.default_rng(r.randrange(2**32))
    return {
        "train_images": rng.integers(0, 256, (N, 6, 6), dtype=np.uint8),
        "train_labels": rng.permutation(np.arange(N) % CLASSES),
        "test_images": rng.integers(0, 256, (TESTS, 6, 6), dtype=np.uint8),
        "test_labels": rng.permutation(np.arange(TESTS) % CLASSES),
        "train_groups": rng.permutation(np.arange(N) % 5),
        "test_groups": rng.permutation(np.arange(TESTS) % 5),
    }


def read(spec: str, data_dir: Path | None = None) -> str:
    """Hash of what is loaded, without the network."""
    return load_dataset(spec, data_dir, download=False).sha256


def dealt(spec: str) -> str:
    """Hash of what is loaded, once clients were dealt it."""
    dataset = load_dataset(spec)
    for rule, parameters in (("iid", {}), ("classes", {"classes": 2})):
        make_partition(rule, parameters, dataset, 3, 0).check(dataset)
    return dataset.sha256


def right(arrays: dict[str, np.ndarray]) -> str:
    """The hash of arrays as they must be understood."""
    return make_dataset("right", arrays, groups="groups").sha256


def save(path: Path, arrays: dict[str, np.ndarray], compressed: bool) -> None:
    """Write an ``.npz``."""
    (np.savez_compressed if compressed else np.savez)(path, **arrays)  # type: ignore[arg-type]


def case_of(folder: Path, arrays: dict[str, np.ndarray], wanted: str | None = None) -> Case:
    """A whole file of these arrays."""
    np.savez(folder / "x.npz", **arrays)  # type: ignore[arg-type]
    return Case(lambda: dealt(f"npz:{folder / 'x.npz'}"), wanted, wanted is not None)


@kind
def damaged(r: random.Random, folder: Path) -> Case:
    arrays, path = base(r), folder / "x.npz"
    save(path, arrays, r.random() < 0.5)
    path.write_bytes(damage(path.read_bytes(), r))
    return Case(lambda: read(f"npz:{path}"), right(arrays))


@kind
def damaged_directory_of_the_archive(r: random.Random, folder: Path) -> Case:
    arrays, path = base(r), folder / "x.npz"
    save(path, arrays, r.random() < 0.5)
    data = bytearray(path.read_bytes())
    places = [i for mark in (b"PK\1\2", b"PK\3\4", b"PK\5\6") for i in range(len(data)) if data.startswith(mark, i)]
    for _ in range(r.choice([1, 2, 5])):
        place = r.choice(places) + r.randrange(4, 46)
        if place < len(data):
            data[place] = r.randrange(256)
    path.write_bytes(data)
    return Case(lambda: read(f"npz:{path}"), right(arrays))


@kind
def foreign(r: random.Random, folder: Path) -> Case:
    path = folder / "x.npz"
    buffer = io.BytesIO()
    choice = r.randrange(8)
    if choice == 0:
        path.mkdir()
    elif choice == 1:
        os.mkfifo(path)
    elif choice == 2:
        path.symlink_to(folder / "nowhere")
    elif choice == 3:
        np.save(buffer, np.zeros(5))
        path.write_bytes(buffer.getvalue())
    elif choice == 4:
        with zipfile.ZipFile(path, "w") as archive:
            for name in base(r):
                archive.writestr(f"{name}.npy", r.randbytes(r.choice([0, 5, 200])))
    elif choice == 5:
        with zipfile.ZipFile(path, "w") as archive:
            for name in base(r):
                archive.writestr(name, "text")
    elif choice == 6:
        np.savez(path, **{name: np.array([{}], dtype=object) for name in base(r)})  # type: ignore[arg-type]
    else:
        path.write_bytes(r.choice([b"", b"PK", b"PK\5\6" + bytes(18), r.randbytes(500), b"\x93NUMPY", b"\x80\x04K\1."]))
    return Case(lambda: read(f"npz:{path}"))


HEADERS = [
    "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999, 6, 6)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 6, 6)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (120, 6)}",
    "{'descr': '|u1', 'fortran_order': 7, 'shape': (120, 6, 6)}",
    "{'descr': '|O', 'fortran_order': False, 'shape': (120, 6, 6)}",
    "{'descr': '|u9', 'fortran_order': False, 'shape': (120, 6, 6)}",
    "{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (120, 6, 6)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (2.0, 6, 6)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (10**9, 6, 6)}",
    "[" * 900, "(" * 5000, "{" + "'a':{" * 300, "", "\0\0", "1/0", "{'descr'", "__import__('os')",
]  # fmt: skip


@kind
def absurd_headers(r: random.Random, folder: Path) -> Case:
    arrays, bad = base(r), r.choice(list(base(r)))
    with zipfile.ZipFile(folder / "x.npz", "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            content = buffer.getvalue()
            if name == bad:
                header = r.choice(HEADERS).encode() + b"\n"
                content = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + array.tobytes()
            archive.writestr(f"{name}.npy", content)
    return Case(lambda: read(f"npz:{folder / 'x.npz'}"))


@kind
def images_that_do_not_fit(r: random.Random, folder: Path) -> Case:
    arrays = base(r)
    key = r.choice(["train_images", "test_images"])
    x = arrays[key]
    arrays[key] = r.choice(
        [
            x.astype(np.float32), x / 255, x.astype(np.uint16), x.astype(np.int64), x > 100, x.astype(complex), x[:0],
            x[:, :0], x.reshape(len(x), -1), x[:, None].repeat(3, 1), x[..., None].repeat(4, -1),
            x[..., None].repeat(2, -1), x[:-1], x[:, :5], x[0], x[0, 0, 0], x.astype("U3"), x.astype("datetime64[s]"),
            x[..., None, None, None], x.view([("a", "u1")]), x.repeat(2, 0), x[:, :, :, None].repeat(3, 3),
        ]
    )  # fmt: skip
    return case_of(folder, arrays)


@kind
def labels_that_do_not_fit(r: random.Random, folder: Path) -> Case:
    arrays = base(r)
    key = r.choice([key for key in arrays if "images" not in key])
    y = arrays[key]
    arrays[key] = r.choice(
        [
            y.astype(float), y[None], np.eye(5)[y], y.astype(str), y.astype(bool), y - 1, y[:-1], y[:0],
            np.where(y == 0, -5, y), y.astype(complex), y[0], np.append(y, 0), y.astype("S1"), y.astype("M8[s]"),
            np.where(y == 0, np.nan, y), y.astype(np.int8) - 100, y.view([("a", "i8")]),
        ]
    )  # fmt: skip
    return case_of(folder, arrays)


@kind
def a_class_only_test_has(r: random.Random, folder: Path) -> Case:
    arrays = base(r)
    lost, y = r.randrange(CLASSES), arrays["train_labels"]
    arrays["train_labels"] = np.where(y == lost, (lost + 1) % CLASSES, y)
    return case_of(folder, arrays)


@kind
def missing_or_unknown_arrays(r: random.Random, folder: Path) -> Case:
    arrays = base(r)
    if r.random() < 0.5:
        del arrays[r.choice(list(arrays))]
    else:
        part = r.choice(["val", "VAL", "valid", "validation", "dev", "extra", "train", "test"])
        arrays[f"{part}_{r.choice(['x', 'data', 'writers'])}"] = np.zeros(3)
    return case_of(folder, arrays)


@kind
def numbers_with_gaps(r: random.Random, folder: Path) -> Case:
    arrays = base(r)
    wanted = right(arrays)
    for what, number in (("labels", CLASSES), ("groups", 5)):
        names = np.sort(np.asarray(r.sample(range(r.choice([100, 2**40])), number), dtype=np.int64))
        dtype = r.choice([np.int64, np.uint64])
        for split in ("train", "test"):
            arrays[f"{split}_{what}"] = names[arrays[f"{split}_{what}"]].astype(dtype)
    return case_of(folder, arrays, wanted)


@kind
def other_layouts_of_the_same_numbers(r: random.Random, folder: Path) -> Case:
    arrays = base(r)
    wanted = right(arrays)
    for key in list(arrays):
        if "images" not in key:
            arrays[key] = arrays[key].astype(r.choice(["u1", "i2", ">i4", "<u8"]))
            arrays[key] = arrays[key][:, None] if r.random() < 0.3 else arrays[key]
        else:
            arrays[key] = r.choice([np.asfortranarray(arrays[key]), arrays[key][..., None], arrays[key][:, None]])
    if r.random() < 0.3:
        arrays["remarks"] = np.asarray("taken in spring")
    return case_of(folder, arrays, wanted)
