"""Photographs, 32x32 RGB, 100 classes in 20 super-classes (Krizhevsky 2009)."""

import pickle
from pathlib import Path

import numpy as np

from pfl_bench.api import ArrayDataset, Arrays, DataRequest, make_dataset, register_dataset, stored_arrays

from ._torchvision import fetch_images


def fetch(folder: Path) -> Arrays:
    """Download, and read the super-classes, which torchvision leaves out, from the archive it verified."""
    arrays = dict(fetch_images("CIFAR100", folder))
    for split in ("train", "test"):
        with (folder / "cifar-100-python" / split).open("rb") as file:
            coarse = pickle.load(file, encoding="latin1")["coarse_labels"]  # the format of the official archive
        arrays[f"{split}_coarse_labels"] = np.asarray(coarse, dtype=np.int64)
    return arrays


@register_dataset("cifar100", source="Krizhevsky 2009", summary="Photographs, 32x32 RGB, 100 classes")
def load(request: DataRequest) -> ArrayDataset:
    """Read ``cifar100.npz``; torchvision fetches it once. Natural groups: the 20 super-classes."""
    return _dataset(stored_arrays("cifar100", request, fetch, check=_dataset))


def _dataset(arrays: Arrays) -> ArrayDataset:
    return make_dataset(
        "cifar100",
        arrays,
        classes=100,
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
        groups="coarse_labels",
    )
