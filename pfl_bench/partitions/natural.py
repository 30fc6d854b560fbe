"""``natural``: the source's own groups (alphabets, writers, super-classes)."""

import numpy as np
from pydantic import Field, NonNegativeInt

from pfl_bench.api import RuleConfig, register_partition


class Natural(RuleConfig):
    """Groups with fewer than ``min_samples`` training samples (validation included), or without a test sample, are left
    out and counted; 0 leaves out none, and a group too small for a client of its own is refused.
    """

    min_samples: NonNegativeInt = Field(
        default=0, description="groups with fewer training samples, or no test sample, are left out and counted"
    )

    @property
    def least(self) -> int:
        """What a group needs to take part."""
        return self.min_samples


@register_partition("natural", config=Natural, strata="groups", summary="the source's own groups")
def shares(config: Natural, counts: np.ndarray, clients: int, rng: np.random.Generator) -> np.ndarray:
    """Deal groups to clients in turn.

    With as many clients as groups each client is one group; with fewer, clients own several whole groups;
    with more, the clients of one group share it equally.
    """
    table = np.zeros((clients, len(counts)))
    for turn in range(max(clients, len(counts))):
        table[turn % clients, turn % len(counts)] = 1
    return table / table.sum(axis=0)
