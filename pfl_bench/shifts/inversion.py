"""``inversion``: every second group sees negatives: dark is bright."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from pfl_bench.api import ShiftConfig, ShiftContext, Transformation, in_type, register_shift


class Inversion(ShiftConfig):
    """No parameters."""


@register_shift(
    "inversion", config=Inversion, of="inputs", inputs=("image",), summary="negatives in every second group"
)
def inversion(
    config: Inversion, context: ShiftContext, groups: int, rng: np.random.Generator
) -> Sequence[Transformation | None]:
    """255 - x of uint8 images; float images are mirrored about each channel's mean."""
    twice = 2 * np.asarray(context.mean) if context.unit == 1 else np.asarray(context.unit)
    return [partial(negative, sum=twice) if group % 2 else None for group in range(groups)]


def negative(values: np.ndarray, rng: np.random.Generator, *, sum: np.ndarray) -> np.ndarray:
    """What is missing of each value to ``sum``."""
    return in_type(sum - values.astype(np.float64), values)
