"""Data sets as arrays: what a source must deliver, and how it is checked."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pfl_bench.errors import RequestError

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
    def facts(self) -> dict[str, Any]:
        """What no array holds and numbers depend on all the same, as JSON would have it."""
        return {"classes": self.classes, "mean": list(self.mean), "std": list(self.std),
                "validation_share": self.validation_share}  # fmt: skip

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height, width: what a client model receives."""
        height, width, channels = self.train_images.shape[1:]
        return channels, height, width


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
    required = (*REQUIRED, *((f"train_{groups}", f"test_{groups}") if groups else ()))
    for key in required:
        if key not in arrays:
            raise RequestError(f"{name}: array {key!r} is missing; required are {', '.join(required)}")
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
