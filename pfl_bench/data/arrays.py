"""Checks of the arrays people bring. What does not fit is refused with the line of numpy that makes it fit."""

import numpy as np

from pfl_bench.errors import RequestError

from .inputs import InputKind

CHANNELS = (1, 3)
_TO_UINT8 = {
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


def checked_inputs(name: str, key: str, values: np.ndarray, kind: InputKind | None, vocabulary: int = 0) -> np.ndarray:
    """Samples as they are kept: images ``[N, H, W, C]`` uint8 or float32, a table ``[N, features]`` and series
    ``[N, time, channels]`` float32, tokens ``[N, length]`` uint8 or int32. ``kind=None``: images that must be grey or
    RGB if they are uint8, because four channels are mostly transparency. RequestError names the array.
    """
    _require_array(name, key, values)
    if kind is None or kind == "image":
        return checked_images(name, key, values, any_channels=kind is not None)
    return checked_tokens(name, key, values, vocabulary) if kind == "tokens" else _checked_rows(name, key, values, kind)


def checked_images(name: str, key: str, images: np.ndarray, any_channels: bool = False) -> np.ndarray:
    """uint8 or float32 ``[N, H, W, C]``; grey images may lack the last axis. RequestError names what is wrong."""
    _require_array(name, key, images)
    floating = images.dtype.kind == "f"
    if images.dtype != np.uint8 and not floating:
        advice = _TO_UINT8.get(images.dtype.kind)
        raise RequestError(
            f"{name}: {key} must be uint8 or float, found {images.dtype}{f'; convert with {advice}' if advice else ''}"
        )
    if images.ndim == 3:
        images = images[..., None]
    odd = images.ndim != 4 or (images.shape[-1] not in CHANNELS and not (floating or any_channels))
    if odd or (not any_channels and channels_come_first(images)):
        raise RequestError(
            f"{name}: {key} must have shape [N, H, W], [N, H, W, 1] or [N, H, W, 3], found {_shape(images)}"
            f"{_shape_advice(images)}"
        )
    _require_samples(name, key, images)
    return np.ascontiguousarray(_as_float32(name, key, images) if floating else images)


def channels_come_first(images: np.ndarray) -> bool:
    """Whether ``[N, C, H, W]`` is the only sensible reading: few channels, then two longer sides."""
    return images.ndim == 4 and images.shape[1] in CHANNELS and min(images.shape[2:]) > 4


def _checked_rows(name: str, key: str, values: np.ndarray, kind: InputKind) -> np.ndarray:
    """A table's or series' numbers as float32; NaN is a missing value and stays."""
    axes = {"table": "[N, features]", "series": "[N, time, channels]"}[kind]
    if values.dtype.kind not in "fiub":
        raise RequestError(f"{name}: {key} must be numbers, found {values.dtype}")
    if values.ndim != len(axes.split(",")):
        raise RequestError(f"{name}: {key} of kind {kind!r} must have shape {axes}, found {_shape(values)}")
    _require_samples(name, key, values)
    return np.ascontiguousarray(_as_float32(name, key, values))


def checked_tokens(name: str, key: str, tokens: np.ndarray, vocabulary: int) -> np.ndarray:
    """Whole numbers ``[N, length]`` from 0 and below ``vocabulary``, in as few bytes as they need."""
    if tokens.dtype.kind not in "iu" or tokens.ndim != 2:
        raise RequestError(
            f"{name}: {key} must be whole numbers of shape [N, length], found {tokens.dtype} {_shape(tokens)}"
        )
    _require_samples(name, key, tokens)
    if tokens.min() < 0 or tokens.max() >= vocabulary:
        raise RequestError(
            f"{name}: {key} has values from {tokens.min()} to {tokens.max()}; tokens go from 0 to vocabulary - 1 = "
            f"{vocabulary - 1}"
        )
    return np.ascontiguousarray(tokens.astype(np.uint8 if vocabulary <= 256 else np.int32))


def _as_float32(name: str, key: str, values: np.ndarray) -> np.ndarray:
    """float32; RequestError for infinite values, those beyond its range, and what it cannot tell apart."""
    if np.isinf(values).any():
        raise RequestError(f"{name}: {key} has infinite values; take them out, or NaN where they are missing")
    with np.errstate(over="ignore"):
        found = values.astype(np.float32)
    if np.isinf(found).any():
        raise RequestError(f"{name}: {key} has values beyond float32; divide them by a power of ten")
    if values.dtype.itemsize > 4 and values.dtype.kind in "fiu":
        _refuse_unresolved(name, key, values.reshape(-1, values.shape[-1]))
    return found


def _refuse_unresolved(name: str, key: str, rows: np.ndarray) -> None:
    """A column of long whole numbers (a time in nanoseconds, an id) would become steps of its own rounding error."""
    if not (~np.isnan(rows)).any(axis=0).all():
        return  # an empty column is told of later
    low, high = np.nanmin(rows, axis=0).astype(float), np.nanmax(rows, axis=0).astype(float)
    coarse = np.maximum(np.abs(low), np.abs(high)) * 2.0**-24 > 0.001 * (high - low)
    for column in np.flatnonzero(coarse & (high > low)):
        raise RequestError(
            f"{name}: {key}, feature {column}, goes from {low[column]:.17g} to {high[column]:.17g}, which float32 does "
            "not resolve: subtract its least value, or leave it out if it is an id"
        )


def _require_samples(name: str, key: str, values: np.ndarray) -> None:
    if 0 in values.shape:
        raise RequestError(f"{name}: {key} is empty: shape {values.shape}")


def _shape_advice(images: np.ndarray) -> str:
    if images.ndim == 4 and images.shape[1] in CHANNELS:
        return "; channels go last: x.transpose(0, 2, 3, 1)"
    if images.ndim == 4 and images.shape[-1] in (2, 4):
        return "; drop the transparency: x[..., :-1]"
    return "; x.reshape(N, H, W, C) gives flat rows their shape back" if images.ndim == 2 else ""


def checked_numbers(name: str, key: str, values: np.ndarray, count: int, limit: int | None = None) -> np.ndarray:
    """Whole numbers from 0 and below ``limit``, one per sample, as uint64 ``[N]``. RequestError names the array."""
    _require_array(name, key, values)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        advice = _TO_CLASSES.get(values.dtype.kind)
        if values.dtype.kind == "f" and values.ndim == 1:
            _refuse_fractions(name, key, values)
        if values.ndim == 2:
            advice = "y.ravel()" if 1 in values.shape else "y.argmax(axis=1) for one-hot rows"
        raise RequestError(
            f"{name}: {key} must be whole numbers of shape [N], found {values.dtype} {_shape(values)}"
            f"{f'; convert with {advice}' if advice else ''}"
        )
    if len(values) != count:
        raise RequestError(f"{name}: {key} has {len(values)} entries for {count} samples")
    if values.min() < 0:
        raise RequestError(f"{name}: {key} has the value {values.min()}; the lowest allowed is 0")
    if limit is not None and values.max() >= limit:
        raise RequestError(f"{name}: {key} has the value {values.max()}; the highest allowed is {limit - 1}")
    return values.astype(np.uint64)


def _refuse_fractions(name: str, key: str, values: np.ndarray) -> None:
    """RequestError for floats of which not all are whole numbers: those that are missing, infinite or between two."""
    odd = np.flatnonzero(~np.isfinite(values))
    if len(odd):
        raise RequestError(
            f"{name}: {key} has {len(odd)} missing or infinite entries, the first at {odd[0]}; take those samples out"
        )
    odd = np.flatnonzero(values != np.floor(values))
    if len(odd):
        raise RequestError(
            f"{name}: {key} has {values[odd[0]]:g} at {odd[0]}, which is no whole number; classes and groups are"
        )


def renumbered(what: str, *parts: np.ndarray) -> tuple[list[np.ndarray], int, tuple[str, ...]]:
    """Each part with numbers from 0 for the values that occur in any, in their order; how many; and a note where that
    changed them."""
    occurring, numbers = np.unique(np.concatenate(parts), return_inverse=True)
    numbers, last = numbers.astype(np.int64), len(occurring) - 1
    note = f"{what} from {occurring[0]} to {occurring[-1]} are renumbered to 0 to {last}, the {last + 1} that occur"
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return np.split(numbers, ends), last + 1, () if int(occurring[-1]) == last else (note,)


def _require_array(name: str, key: str, value: object) -> None:
    if not isinstance(value, np.ndarray):
        raise RequestError(f"{name}: {key} is no array but {type(value).__name__}")


def _shape(array: np.ndarray) -> str:
    return str(array.shape) if array.ndim <= 6 else f"{array.ndim} axes"
