"""``natural``: the source's own groups (alphabets, writers, super-classes)."""

import numpy as np

from pfl_bench.api import RuleConfig, register_partition


class Natural(RuleConfig):
    """No parameters."""


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
