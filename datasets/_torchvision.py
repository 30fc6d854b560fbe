"""The only place that imports torchvision, and only when something must be downloaded."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from pfl_bench.api import Arrays, RequestError


def torchvision_class(name: str) -> Any:
    """``torchvision.datasets.<name>``; a torchvision that does not fit the torch in use is a RequestError."""
    try:
        return getattr(importlib.import_module("torchvision.datasets"), name)
    except Exception as error:  # a CPU-only torch makes torchvision fail with a RuntimeError, not an ImportError
        raise RequestError(
            f"downloading needs a torchvision that fits the installed torch; importing it failed: {error}"
        ) from error


def fetch_images(name: str, folder: Path, targets: str = "targets") -> Arrays:
    """Download a torchvision data set with ``data`` and ``targets`` and return the four required arrays."""
    source = torchvision_class(name)
    arrays = {}
    for split, train in (("train", True), ("test", False)):
        part = source(str(folder), train=train, download=True)
        arrays[f"{split}_images"] = np.asarray(part.data, dtype=np.uint8)
        arrays[f"{split}_labels"] = np.asarray(getattr(part, targets), dtype=np.int64)
    return arrays
