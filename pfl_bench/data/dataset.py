"""Data sets as arrays: what a source must deliver, and how it is checked."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pfl_bench.errors import RequestError

from .arrays import checked_images, checked_numbers, renumbered

Arrays = Mapping[str, np.ndarray]
SPLITS = ("train", "test")
REQUIRED = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True)
class ArrayDataset:
    """One data source in memory.

    Images are uint8, ``[N, height, width, channels]``; labels int64 in ``[0, classes)``; groups, where the
    source has natural ones (writers, alphabets, super-classes), int64 in ``[0, number of groups)``.
    ``mean`` and ``std`` are per channel, on pixels scaled to [0, 1]. ``validation_share`` of every class of
    the training images is held back for validation by the partitioner. ``notes`` are what the user should know of how
    the source was read; whoever loads it for him prints them.
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
    notes: tuple[str, ...] = ()

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
    notes: Sequence[str] = (),
) -> ArrayDataset:
    """Check raw arrays (``REQUIRED`` and ``train_<groups>``, ``test_<groups>``) and wrap them.

    Grey images may lack the channel axis. Where ``mean`` and ``std`` are not given they are measured on the
    training images. Where ``classes`` is not given, classes are those that occur: other numbers are renumbered, and so
    are groups, which is among the notes. A class that only the test part has is refused.
    RequestError names the array and what is wrong with it.
    """
    required = (*REQUIRED, *((f"train_{groups}", f"test_{groups}") if groups else ()))
    for key in required:
        if key not in arrays:
            raise RequestError(f"{name}: array {key!r} is missing; required are {', '.join(required)}")
    images = {s: checked_images(name, f"{s}_images", arrays[f"{s}_images"]) for s in SPLITS}
    if images["train"].shape[1:] != images["test"].shape[1:]:
        shapes = images["train"].shape[1:], images["test"].shape[1:]
        raise RequestError(f"{name}: train and test images differ in shape: {shapes[0]} and {shapes[1]}")
    checked = {f"{s}_images": images[s] for s in SPLITS}
    train, test = _numbers(name, "labels", arrays, classes)
    said = [*notes, *_check_coverage(name, train, test, classes)]
    if classes is None:
        checked["train_labels"], checked["test_labels"], classes, note = renumbered("labels", train, test)
        said += note
    else:
        checked["train_labels"], checked["test_labels"] = train.astype(np.int64), test.astype(np.int64)
    if groups is not None:
        of_groups = renumbered("groups", *_numbers(name, groups, arrays))
        checked["train_groups"], checked["test_groups"], _, note = of_groups
        said += note
    if mean is None or std is None:
        mean, std = _channel_statistics(images["train"])
    return ArrayDataset(
        name=name, classes=classes, mean=mean, std=std, sha256=content_hash(checked),
        validation_share=validation_share, notes=tuple(said), **checked,
    )  # fmt: skip


def _numbers(name: str, key: str, arrays: Arrays, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The numbers ``train_<key>`` and ``test_<key>``, checked."""
    train, test = (
        checked_numbers(name, f"{s}_{key}", arrays[f"{s}_{key}"], len(arrays[f"{s}_images"]), limit) for s in SPLITS
    )
    return train, test


def _check_coverage(name: str, train: np.ndarray, test: np.ndarray, classes: int | None) -> list[str]:
    """Notes on classes that are not in both parts; RequestError for one that only the test part has."""
    if len(unseen := np.setdiff1d(test, train)):
        raise RequestError(
            f"{name}: test_labels has class {unseen[0]} {int((test == unseen[0]).sum())} times and train_labels never "
            f"({len(unseen)} such classes): give it training samples or take it out of the test part"
        )
    found = []
    if len(untested := np.setdiff1d(train, test)):
        found.append(f"{_some(untested)} of train_labels has no test sample")
    occurring = np.unique(train)
    if classes is not None and len(occurring) < classes:
        found.append(f"{classes - len(occurring)} of {classes} classes have no sample; clients are dealt the others")
    if len(occurring) == 1:
        found.append("there is one class only, so that every prediction is right")
    return found


def _some(values: np.ndarray) -> str:
    listed = ", ".join(str(value) for value in values[:5])
    return f"class {listed}" + (f" and {len(values) - 5} more" if len(values) > 5 else "")


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
