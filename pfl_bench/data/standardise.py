"""Mean and standard deviation per feature or channel, measured on the training samples; and what is missing there."""

import math
from typing import Literal

import numpy as np

from pfl_bench.errors import RequestError
from pfl_bench.text import agreeing, counted

Figures = tuple[float, ...]
Missing = Literal["refused", "optional", "mean"]


def statistics(inputs: np.ndarray) -> tuple[Figures, Figures]:
    """Mean and standard deviation along the last axis: per channel of images (uint8 scaled to [0, 1], float in its own
    unit) and of series, per feature of a table. What is constant gets 1. Missing values (NaN) do not count."""
    if inputs.dtype == np.uint8:
        return _pixel_statistics(inputs)
    mean, std = [], []
    for column in range(inputs.shape[-1]):
        own = inputs[..., column].astype(np.float64)
        mean.append(float(np.nanmean(own)))
        std.append(float(np.nanstd(own)) if np.nanmax(own) > np.nanmin(own) else 1.0)
    return tuple(mean), tuple(std)


def _pixel_statistics(images: np.ndarray) -> tuple[Figures, Figures]:
    """From exact sums, so that they are the same on every processor."""
    counts = [np.bincount(images[..., c].ravel(), minlength=256).tolist() for c in range(images.shape[-1])]
    mean, std = [], []
    for count in counts:
        pixels = sum(count)
        first = sum(value * n for value, n in enumerate(count))
        second = sum(value * value * n for value, n in enumerate(count))
        mean.append(first / (255 * pixels))
        variance = (pixels * second - first * first) / (255 * pixels) ** 2
        std.append(math.sqrt(variance) if variance > 0 else 1.0)
    return tuple(mean), tuple(std)


def filled(
    name: str, parts: dict[str, np.ndarray], train: np.ndarray, missing_values: Missing
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:  # fmt: skip
    """The parts of a data set without missing values, and a note where the mean of ``train`` took their place.

    RequestError where there are some and ``missing_values`` is not ``mean`` (``optional``: the request could ask for
    it), or a column of ``train`` has nothing else.
    """
    missing = {part: np.isnan(values) for part, values in parts.items() if values.dtype.kind == "f"}
    number = sum(int(own.sum()) for own in missing.values())
    if not number:
        return parts, ()
    if missing_values != "mean":
        part = next(part for part, own in missing.items() if own.any())
        ask = ", or add missing=mean to the request: the training mean takes their place"
        raise RequestError(
            f"{name}: {part} has missing values (NaN), {number} in all; fill them or take those samples out"
            f"{ask if missing_values == 'optional' else ''}"
        )
    empty = np.isnan(train).reshape(-1, train.shape[-1]).all(axis=0)
    if empty.any():
        raise RequestError(f"{name}: feature {int(empty.argmax())} has no value in the training samples; leave it out")
    mean = np.asarray(statistics(train)[0], dtype=np.float32)
    whole = {part: np.where(missing[part], mean, values) for part, values in parts.items()}
    features = len(np.flatnonzero(np.any([own.reshape(-1, len(mean)).any(axis=0) for own in missing.values()], axis=0)))
    return whole, (
        f"{counted(number, 'missing value')} in {counted(features, 'feature')} {agreeing(number, 'is', 'are')} "
        f"filled with the training mean",
    )
