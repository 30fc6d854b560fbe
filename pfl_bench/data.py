"""Data sets as arrays: what a source must deliver, how it is checked, stored and read."""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs

from .errors import RequestError, one_line
from .registry import DATASETS

Arrays = Mapping[str, np.ndarray]
REQUIRED = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True)
class ArrayDataset:
    """One data source in memory.

    Images are uint8, ``[N, height, width, channels]``; labels int64 in ``[0, classes)``; groups, where the
    source has natural ones (writers, alphabets, super-classes), int64 in ``[0, number of groups)``.
    ``mean`` and ``std`` are per channel, on pixels scaled to [0, 1]. ``validation_share`` of every class of
    the training images is held back for validation by the partitioner.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sha256: str
    train_groups: np.ndarray | None = None
    test_groups: np.ndarray | None = None
    validation_share: float = 0.2

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height, width: what a client model receives."""
        height, width, channels = self.train_images.shape[1:]
        return channels, height, width


@dataclass(frozen=True)
class DataRequest:
    """What a data source is asked for: where prepared files live, its argument (``npz:ARGUMENT``), and whether
    it may use the network."""

    data_dir: Path
    argument: str = ""
    download: bool = True


def default_data_dir() -> Path:
    """``$PFL_BENCH_DATA``, else the platform's cache folder for this user."""
    configured = os.environ.get("PFL_BENCH_DATA")
    return Path(configured) if configured else Path(platformdirs.user_cache_dir("pfl-bench"))


def register_dataset(
    name: str, **info: str
) -> Callable[[Callable[[DataRequest], ArrayDataset]], Callable[[DataRequest], ArrayDataset]]:
    """Register a function ``DataRequest -> ArrayDataset`` as the data source ``name``."""
    return DATASETS.register(name, **info)


def load_dataset(spec: str, data_dir: Path | None = None, download: bool = True) -> ArrayDataset:
    """Load ``NAME`` or ``NAME:ARGUMENT``; every problem with the name or the data is a RequestError.

    The SHA-256 of a fetched data set is recorded beside it and compared at every later load.
    """
    name, _, argument = spec.partition(":")
    source = DATASETS.get(name)
    folder = data_dir or default_data_dir()
    fetched = not (folder / f"{name}.npz").exists()
    dataset: ArrayDataset = source(DataRequest(folder, argument, download))
    if fetched and (folder / f"{name}.npz").exists():
        record_hash(dataset, folder)
    check_hash(dataset, folder)
    return dataset


def record_hash(dataset: ArrayDataset, data_dir: Path) -> None:
    """Record a data set's SHA-256 in ``<data-dir>/<name>.json``."""
    (data_dir / f"{dataset.name}.json").write_text(json.dumps({"sha256": dataset.sha256}) + "\n", encoding="utf-8")


def check_hash(dataset: ArrayDataset, data_dir: Path) -> None:
    """RequestError if a SHA-256 is recorded for this data set and it is another one."""
    record = data_dir / f"{dataset.name}.json"
    if not record.is_file():
        return
    try:
        expected = json.loads(record.read_text(encoding="utf-8"))["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{dataset.name}: {record} is damaged; remove it to accept the data as it is") from error
    if expected != dataset.sha256:
        raise RequestError(f"{dataset.name}: SHA-256 is {dataset.sha256}, but {record} says {expected}")


def content_hash(arrays: Arrays) -> str:
    """SHA-256 over names, types, shapes and bytes of the arrays, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


def make_dataset(
    name: str,
    arrays: Arrays,
    *,
    classes: int | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    groups: str | None = None,
    validation_share: float = 0.2,
) -> ArrayDataset:
    """Check raw arrays (``REQUIRED`` and ``train_<groups>``, ``test_<groups>``) and wrap them.

    Grey images may lack the channel axis. Where ``mean`` and ``std`` are not given they are measured on the
    training images. RequestError names the array and what is wrong with it.
    """
    for key in REQUIRED:
        if key not in arrays:
            raise RequestError(f"{name}: array {key!r} is missing; required are {', '.join(REQUIRED)}")
    images = {split: _checked_images(name, split, arrays[f"{split}_images"]) for split in ("train", "test")}
    if images["train"].shape[1:] != images["test"].shape[1:]:
        shapes = images["train"].shape[1:], images["test"].shape[1:]
        raise RequestError(f"{name}: train and test images differ in shape: {shapes[0]} and {shapes[1]}")
    labels = {
        split: _checked_labels(name, f"{split}_labels", arrays[f"{split}_labels"], len(images[split]), classes)
        for split in ("train", "test")
    }
    if classes is None:
        classes = int(max(labels["train"].max(), labels["test"].max())) + 1
    grouped: dict[str, np.ndarray | None] = {"train": None, "test": None}
    if groups is not None:
        for split in grouped:
            key = f"{split}_{groups}"
            grouped[split] = _checked_labels(name, key, arrays[key], len(images[split]), None)
    if mean is None or std is None:
        mean, std = _channel_statistics(images["train"])
    checked = {**{f"{s}_images": images[s] for s in images}, **{f"{s}_labels": labels[s] for s in labels}}
    hashed = checked | {f"{s}_groups": g for s, g in grouped.items() if g is not None}
    return ArrayDataset(
        name=name, classes=classes, mean=mean, std=std, sha256=content_hash(hashed),
        train_groups=grouped["train"], test_groups=grouped["test"], validation_share=validation_share,
        **checked,
    )  # fmt: skip


def _checked_images(name: str, split: str, images: np.ndarray) -> np.ndarray:
    if images.dtype != np.uint8:
        raise RequestError(f"{name}: {split}_images must be uint8, found {images.dtype}")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise RequestError(
            f"{name}: {split}_images must have shape [N, H, W], [N, H, W, 1] or [N, H, W, 3], found {images.shape}"
        )
    if 0 in images.shape:
        raise RequestError(f"{name}: {split}_images is empty: shape {images.shape}")
    return np.ascontiguousarray(images)


def _checked_labels(name: str, key: str, labels: np.ndarray, count: int, classes: int | None) -> np.ndarray:
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise RequestError(f"{name}: {key} must be whole numbers of shape [N], found {labels.dtype} {labels.shape}")
    if len(labels) != count:
        raise RequestError(f"{name}: {key} has {len(labels)} entries for {count} images")
    if labels.min() < 0:
        raise RequestError(f"{name}: {key} has the value {labels.min()}; the lowest allowed is 0")
    if classes is not None and labels.max() >= classes:
        raise RequestError(f"{name}: {key} has the value {labels.max()}; the highest allowed is {classes - 1}")
    return labels.astype(np.int64)


def _channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of pixels scaled to [0, 1]; a constant channel gets std 1."""
    counts = [np.bincount(images[..., c].ravel(), minlength=256) for c in range(images.shape[-1])]
    values = np.arange(256) / 255
    mean = [float(count @ values / count.sum()) for count in counts]
    var = [float(count @ (values - m) ** 2 / count.sum()) for count, m in zip(counts, mean, strict=True)]
    return tuple(mean), tuple(v**0.5 if v > 0 else 1.0 for v in var)


def read_npz(path: Path, name: str) -> dict[str, np.ndarray]:
    """Read an ``.npz`` without pickle; a missing, truncated or foreign file is a RequestError."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except FileNotFoundError as error:
        raise RequestError(f"{name}: {path} does not exist") from error
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise RequestError(f"{name}: {path} is not a readable .npz: {one_line(error)}") from error


def write_npz(path: Path, arrays: Arrays) -> None:
    """Write an ``.npz`` beside its place and rename it, so that no half file is ever found."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def stored_arrays(name: str, request: DataRequest, fetch: Callable[[Path], Arrays]) -> Arrays:
    """Arrays of ``<data-dir>/<name>.npz``; where there is no such file, fetch them once and store them.

    ``fetch`` receives a folder for its downloads. A failed download is a RequestError and leaves no file.
    """
    path = request.data_dir / f"{name}.npz"
    if not path.exists():
        if not request.download:
            raise RequestError(f"{name}: {path} does not exist; run 'pfl-bench data prepare {name}'")
        try:
            arrays = fetch(request.data_dir / "downloads" / name)
        except RequestError:
            raise
        except Exception as error:  # torchvision passes on whatever urllib, ssl or tarfile raise
            raise RequestError(
                f"{name}: download failed ({one_line(error)}); connect to the network or put {path} in place"
            ) from error
        write_npz(path, arrays)
    return read_npz(path, name)


def hold_out(name: str, images: np.ndarray, labels: np.ndarray, share: float) -> dict[str, np.ndarray]:
    """Hold out a share of every class as test images, at least one each; fixed by ``name``, not by a run's seed.

    It is part of the data set's definition, like the official split of CIFAR-10.
    """
    rng = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        test[members[: max(1, round(share * len(members)))]] = True
    return {
        f"{split}_{key}": array[rows]
        for split, rows in (("train", ~test), ("test", test))
        for key, array in (("images", images), ("labels", labels))
    }
