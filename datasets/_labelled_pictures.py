"""Pictures with classes, as Pillow has them, as arrays of one size and one number of channels."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pfl_bench.api import RequestError, one_line

MOST_VALUES = 8 * 10**9
DEEP = ("I", "F")
"""How Pillow's modes of 16 and 32 bits begin: as 8 bits, what is above 255 would be cut off."""


def stacked_pictures(parts: Mapping[str, Any], size: int | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Every part's pictures, ``[N, H, W]`` if all are grey, else ``[N, H, W, 3]``, and labels."""
    from PIL import Image

    total = sum(len(part) for part in parts.values())
    if size is not None and total * size * size * 3 > MOST_VALUES:
        raise RequestError(
            f"{total} pictures of {size}x{size} pixels are more than {MOST_VALUES} values; choose a smaller size"
        )
    pictures: dict[str, list[np.ndarray]] = {}
    labels: dict[str, list[int]] = {}
    shape: tuple[int, int] | None = None
    for part, samples in parts.items():
        pictures[part], labels[part] = [], []
        for at in range(len(samples)):
            place = f"sample {at} of {part}" if part else f"sample {at}"
            image, label = _picture_and_class(samples, at, place)
            if image.mode.startswith(DEEP):
                raise RequestError(f"{place} is of mode {image.mode!r}; pictures must have 8 bits, grey or colour")
            image = image if image.mode in ("L", "RGB") else image.convert("L" if image.mode == "1" else "RGB")
            image = image if size is None else image.resize((size, size), Image.Resampling.BILINEAR)
            shape = shape or image.size
            if image.size != shape:
                raise RequestError(
                    f"its pictures differ in size, {shape} and {image.size} ({place}): add size=32 to the request"
                )
            pictures[part].append(np.asarray(image))
            labels[part].append(int(label))
    grey = all(each.ndim == 2 for own in pictures.values() for each in own)
    found = {}
    for part, own in pictures.items():
        if not own:
            raise RequestError(f"its part {part} is empty" if part else "it is empty")
        same = own if grey else [np.repeat(p[..., None], 3, 2) if p.ndim == 2 else p for p in own]
        found[part] = np.stack(same), np.asarray(labels[part], dtype=np.int64)
    return found


def _picture_and_class(samples: Any, at: int, place: str) -> tuple[Any, Any]:
    """A sample; RequestError if it cannot be read, or is no picture with a class."""
    from PIL import Image

    try:
        sample = samples[at]
    except RequestError:
        raise
    except Exception as error:  # Pillow's readers raise whatever damaged bytes lead to
        raise RequestError(f"{place} is not readable: {one_line(error)}") from error
    image, label = sample if isinstance(sample, tuple | list) and len(sample) == 2 else (None, None)
    if not isinstance(image, Image.Image) or isinstance(label, bool) or not _is_whole(label):
        raise RequestError(f"{place} is no picture with a whole number as its class; it is no classification set")
    return image, label


def _is_whole(label: object) -> bool:
    try:
        return int(label) == label  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return False
