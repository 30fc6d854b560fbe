"""``permutation``: each group calls the classes by other names: the same inputs, another concept.

After Sattler et al. 2019 (arXiv:1910.01991), whose groups have two labels swapped (``moved = 2``), and FedRC (Guo et
al. 2024, arXiv:2301.12379), whose concept shift permutes labels.
"""

from collections.abc import Sequence
from functools import partial
from math import comb, factorial

import numpy as np
from pydantic import Field

from pfl_bench.api import RequestError, ShiftConfig, ShiftContext, Transformation, register_shift


class Permutation(ShiftConfig):
    """How many classes change places."""

    moved: int | None = Field(
        default=None, ge=2, description="how many classes have another name in a group, 2 for a swap; by default all"
    )


@register_shift("permutation", config=Permutation, of="labels", summary="classes renamed by group: concept shift")
def permutation(
    config: Permutation, context: ShiftContext, groups: int, rng: np.random.Generator
) -> Sequence[Transformation | None]:
    """The first group keeps its names; each other moves classes drawn at random along a cycle of its own."""
    classes = context.classes
    if classes < 2:
        raise RequestError(f"shift permutation: the data have {classes} class, and no other name to give it")
    moved = classes if config.moved is None else config.moved
    if not 2 <= moved <= classes:
        raise RequestError(f"shift permutation: moved={moved} of {classes} classes; give a number from 2 to {classes}")
    possible = 1 + comb(classes, moved) * factorial(moved - 1)
    if groups > possible:
        raise RequestError(
            f"shift permutation: groups={groups}, but moving {moved} of {classes} classes gives {possible} at most"
        )
    tables: list[tuple[int, ...]] = [tuple(range(classes))]
    while len(tables) < groups:
        table, cycle = np.arange(classes), rng.permutation(classes)[:moved]
        table[cycle] = np.roll(cycle, -1)
        if (drawn := tuple(table.tolist())) not in tables:
            tables.append(drawn)
    return [None, *(partial(renamed, table=np.asarray(table)) for table in tables[1:])]


def renamed(labels: np.ndarray, rng: np.random.Generator, *, table: np.ndarray) -> np.ndarray:
    """Labels ``[n]`` by their new names."""
    found: np.ndarray = table[labels].astype(labels.dtype)
    return found
