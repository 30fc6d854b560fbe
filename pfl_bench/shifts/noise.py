"""``noise``: Gaussian noise whose level is the group's (Li et al. 2022, NIID-Bench, arXiv:2102.02079)."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from pydantic import Field, NonNegativeFloat, model_validator

from pfl_bench.api import RequestError, ShiftConfig, ShiftContext, Transformation, in_type, register_shift


class Noise(ShiftConfig):
    """The levels, in standard deviations of the data (of the channel or feature)."""

    level: NonNegativeFloat = Field(
        default=1.0, description="that of the last group; levels rise evenly from 0 in the first"
    )
    levels: tuple[NonNegativeFloat, ...] = Field(default=(), description="instead: one per group")

    @model_validator(mode="after")
    def _has_one_or_the_other(self) -> "Noise":
        if self.levels and "level" in self.model_fields_set:
            raise ValueError(f"level={self.level} has no meaning beside levels; give one of the two")
        return self


@register_shift(
    "noise",
    config=Noise,
    of="inputs",
    inputs=("image", "table", "series"),
    summary="Gaussian noise, its level by group",
)
def noise(
    config: Noise, context: ShiftContext, groups: int, rng: np.random.Generator
) -> Sequence[Transformation | None]:
    """x + level * std * N(0, 1), drawn once per sample; uint8 is rounded and cut at 0 and 255."""
    levels = config.levels or tuple(config.level * group / max(1, groups - 1) for group in range(groups))
    if len(levels) != groups:
        raise RequestError(f"shift noise: {len(levels)} levels for {groups} groups; give one per group")
    spread = context.unit * np.asarray(context.std)
    return [partial(noisy, spread=level * spread) if level else None for level in levels]


def noisy(values: np.ndarray, rng: np.random.Generator, *, spread: np.ndarray) -> np.ndarray:
    """``[n, ..., channels]`` plus noise of ``spread`` ``[channels]``."""
    return in_type(values + spread * rng.standard_normal(values.shape), values)
