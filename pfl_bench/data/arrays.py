"""Checks of the arrays people bring. What does not fit is refused with the line of numpy that makes it fit."""

import numpy as np

from pfl_bench.errors import RequestError

CHANNELS = (1, 3)
_TO_UINT8 = {
    "f": "(255 * x).round().astype(np.uint8) for values from 0 to 1",
    "u": "(x >> 8).astype(np.uint8) for 16-bit values",
    "i": "x.astype(np.uint8) for values from 0 to 255",
    "b": "x * np.uint8(255)",
}
_TO_CLASSES = {
    "f": "y.astype(np.int64)",
    "b": "y.astype(np.int64)",
    "U": "np.unique(y, return_inverse=True)[1] over train and test together",
    "S": "np.unique(y, return_inverse=True)[1] over train and test together",
}


def checked_images(name: str, key: str, images: np.ndarray) -> np.ndarray:
    """uint8 ``[N, H, W, C]``; grey images may lack the last axis. RequestError names the array and what is wrong."""
    _require_array(name, key, images)
    if images.dtype != np.uint8:
        advice = _TO_UINT8.get(images.dtype.kind)
        raise RequestError(
            f"{name}: {key} must be uint8, found {images.dtype}{f'; convert with {advice}' if advice else ''}"
        )
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in CHANNELS:
        raise RequestError(
            f"{name}: {key} must have shape [N, H, W], [N, H, W, 1] or [N, H, W, 3], found {_shape(images)}"
            f"{_shape_advice(images)}"
        )
    if 0 in images.shape:
        raise RequestError(f"{name}: {key} is empty: shape {images.shape}")
    return np.ascontiguousarray(images)


def _shape_advice(images: np.ndarray) -> str:
    if images.ndim == 4 and images.shape[1] in CHANNELS:
        return "; channels go last: x.transpose(0, 2, 3, 1)"
    if images.ndim == 4 and images.shape[-1] in (2, 4):
        return "; drop the transparency: x[..., :-1]"
    return "; x.reshape(N, H, W, C) gives flat rows their shape back" if images.ndim == 2 else ""


def checked_numbers(name: str, key: str, values: np.ndarray, count: int, limit: int | None = None) -> np.ndarray:
    """Whole numbers from 0 and below ``limit``, one per image, as uint64 ``[N]``. RequestError names the array."""
    _require_array(name, key, values)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        advice = _TO_CLASSES.get(values.dtype.kind)
        if values.ndim == 2:
            advice = "y.ravel()" if 1 in values.shape else "y.argmax(axis=1) for one-hot rows"
        raise RequestError(
            f"{name}: {key} must be whole numbers of shape [N], found {values.dtype} {_shape(values)}"
            f"{f'; convert with {advice}' if advice else ''}"
        )
    if len(values) != count:
        raise RequestError(f"{name}: {key} has {len(values)} entries for {count} images")
    if values.min() < 0:
        raise RequestError(f"{name}: {key} has the value {values.min()}; the lowest allowed is 0")
    if limit is not None and values.max() >= limit:
        raise RequestError(f"{name}: {key} has the value {values.max()}; the highest allowed is {limit - 1}")
    return values.astype(np.uint64)


def renumbered(what: str, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, tuple[str, ...]]:
    """Numbers from 0 for the values that occur, in their order; how many; and a note where that changed them."""
    occurring, numbers = np.unique(np.concatenate([train, test]), return_inverse=True)
    numbers, last = numbers.astype(np.int64), len(occurring) - 1
    note = f"{what} from {occurring[0]} to {occurring[-1]} are renumbered to 0 to {last}, the {last + 1} that occur"
    return numbers[: len(train)], numbers[len(train) :], last + 1, () if int(occurring[-1]) == last else (note,)


def _require_array(name: str, key: str, value: object) -> None:
    if not isinstance(value, np.ndarray):
        raise RequestError(f"{name}: {key} is no array but {type(value).__name__}")


def _shape(array: np.ndarray) -> str:
    return str(array.shape) if array.ndim <= 6 else f"{array.ndim} axes"
