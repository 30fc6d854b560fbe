"""``contrast``: each group sees its data with a contrast of its own."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from pydantic import Field, PositiveFloat

from pfl_bench.api import RequestError, ShiftConfig, ShiftContext, Transformation, in_type, register_shift


class Contrast(ShiftConfig):
    """The factors."""

    factors: tuple[PositiveFloat, ...] = Field(
        default=(), description="one per group: below 1 is flatter; by default 1, 1/2, 1/4, ..."
    )


@register_shift(
    "contrast", config=Contrast, of="inputs", inputs=("image", "table", "series"), summary="contrast by group"
)
def contrast(
    config: Contrast, context: ShiftContext, groups: int, rng: np.random.Generator
) -> Sequence[Transformation | None]:
    """mean + factor (x - mean), with the data's mean per channel or feature."""
    factors = config.factors or tuple(2.0**-group for group in range(groups))
    if len(factors) != groups:
        raise RequestError(f"shift contrast: {len(factors)} factors for {groups} groups; give one per group")
    mean = context.unit * np.asarray(context.mean)
    return [partial(stretched, mean=mean, factor=factor) if factor != 1 else None for factor in factors]


def stretched(values: np.ndarray, rng: np.random.Generator, *, mean: np.ndarray, factor: float) -> np.ndarray:
    """``[n, ..., channels]`` further from, or nearer to, ``mean`` ``[channels]``."""
    return in_type(mean + factor * (values - mean), values)
