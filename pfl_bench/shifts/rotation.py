"""``rotation``: each group sees its images turned by an angle of its own (Ghosh et al. 2020, arXiv:2006.04088, sec. 6).

Their Rotated MNIST has the angles 0, 90, 180 and 270, or 0 and 180, degrees.
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy import ndimage

from pfl_bench.api import RequestError, ShiftConfig, ShiftContext, Transformation, in_type, register_shift

Angle = Annotated[float, Field(ge=-360, le=360)]


class Rotation(ShiftConfig):
    """The angles."""

    angles: tuple[Angle, ...] = Field(
        default=(),
        description="in degrees, counter-clockwise, one per group; by default 0, 360 / groups, 720 / groups, ...",
    )


@register_shift("rotation", config=Rotation, of="inputs", inputs=("image",), summary="images turned by group")
def rotation(
    config: Rotation, context: ShiftContext, groups: int, rng: np.random.Generator
) -> Sequence[Transformation | None]:
    """Quarter turns move pixels and change none; other angles interpolate linearly, with 0 beyond the border."""
    angles = config.angles or tuple(360 * group / groups for group in range(groups))
    if len(angles) != groups:
        raise RequestError(f"shift rotation: {len(angles)} angles for {groups} groups; give one per group")
    _, height, width = context.input
    if height != width and any(angle % 180 == 90 for angle in angles):
        raise RequestError(f"shift rotation: images of {height} x {width} cannot make quarter turns; use 0 and 180")
    return [partial(turned, angle=angle) if angle % 360 else None for angle in angles]


def turned(images: np.ndarray, rng: np.random.Generator, *, angle: float) -> np.ndarray:
    """Images ``[n, height, width, channels]`` turned in place."""
    if angle % 90 == 0:
        return np.ascontiguousarray(np.rot90(images, round(angle / 90), axes=(1, 2)))
    figures = ndimage.rotate(images.astype(np.float32), angle, axes=(2, 1), reshape=False, order=1)
    return in_type(figures, images)
