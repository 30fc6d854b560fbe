"""``classes``: k classes per client, the pathological split of the pFedHN paper (section 5.1)."""

from typing import Literal

import numpy as np
from pydantic import Field, PositiveInt

from pfl_bench.api import RequestError, RuleConfig, register_partition


class Classes(RuleConfig):
    """How many classes, and which of two descriptions."""

    classes: PositiveInt = Field(description="classes per client")
    variant: Literal["code", "paper"] = Field(
        default="code", description="code: as in the official code; paper: as in the paper's text"
    )

    @property
    def truncates(self) -> bool:
        """The official code rounds every client's count down."""
        return self.variant == "code"


@register_partition("classes", config=Classes, summary="k classes per client, shares drawn from U(0.4, 0.6)")
def shares(config: Classes, counts: np.ndarray, clients: int, rng: np.random.Generator) -> np.ndarray:
    """Clients pick, one class at a time, among the classes with the most free slots; ties at random.

    Each slot is worth U(0.4, 0.6), normalised over the class. Variant ``code`` makes ``floor(k n / C) + 1``
    slots per class, of which at least one per class stays free, and rounds counts down: part of the data is
    assigned to nobody.
    Variant ``paper`` normalises over the slots that were taken: everything is assigned.
    """
    n_classes = len(counts)
    if config.classes > n_classes:
        raise RequestError(f"classes: {config.classes} classes per client, but the data set has {n_classes}")
    slots = config.classes * clients // n_classes + 1
    values = rng.uniform(0.4, 0.6, size=(n_classes, slots))
    if config.variant == "code":
        values /= values.sum(axis=1, keepdims=True)
    free = np.full(n_classes, slots)
    table = np.zeros((clients, n_classes))
    for client in range(clients):
        for _ in range(config.classes):
            candidates = free.astype(float)
            if config.variant == "paper":  # the official code does not forbid the same class twice
                candidates[table[client] > 0] = -1
            choice = rng.choice(np.flatnonzero(candidates == candidates.max()))
            free[choice] -= 1
            table[client, choice] += values[choice, free[choice]]
    if config.variant == "paper":
        owned = table.sum(axis=0)
        if (owned == 0).any():
            raise RequestError(
                f"classes: {clients} clients with {config.classes} classes each leave class "
                f"{int(np.flatnonzero(owned == 0)[0])} of {n_classes} to nobody; use more of either"
            )
        table /= owned
    return table
