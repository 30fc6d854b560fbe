"""Between our layout of samples, channels last, and that of PyTorch's users, channels first."""

from pathlib import Path

import numpy as np

from pfl_bench.data.inputs import InputSpec
from pfl_bench.errors import RequestError

_FIRST = {"image": (0, 3, 1, 2), "series": (0, 2, 1)}
_LAST = {"image": (0, 2, 3, 1), "series": (0, 2, 1)}


def channels_first(values: np.ndarray, input: InputSpec) -> np.ndarray:
    """Images ``[N, C, H, W]``, series ``[N, C, time]``; rows and tokens as they are."""
    axes = _FIRST.get(input.kind)
    return np.ascontiguousarray(values.transpose(axes)) if axes else values


def channels_last(values: np.ndarray, input: InputSpec) -> np.ndarray:
    """The inverse of ``channels_first``."""
    axes = _LAST.get(input.kind)
    return np.ascontiguousarray(values.transpose(axes)) if axes else values


def sample_shape(input: InputSpec) -> tuple[int, ...]:
    """One sample's axes in our arrays."""
    shape = input.shape
    return (*shape[1:], shape[0]) if input.kind in _LAST else shape


def in_form(where: str | Path, what: str, values: object, shape: tuple[int, ...], kinds: str) -> np.ndarray:
    """An array that is as it was written; RequestError says how it is and how it was."""
    if not isinstance(values, np.ndarray) or values.shape != shape or values.dtype.kind not in kinds:
        found = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
        raise RequestError(f"{where}: {what} is {found}; exported were numbers of shape {shape}")
    return values


def as_recorded(where: str | Path, values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The values in the type that was exported; RequestError for one that it cannot hold."""
    if values.dtype == dtype:
        return values
    with np.errstate(invalid="ignore", over="ignore"):
        found: np.ndarray = values.astype(dtype)
    if not np.array_equal(found, values, equal_nan=values.dtype.kind == "f"):
        raise RequestError(f"{where}: has values that are no {dtype}, the type that was exported")
    return found
