"""``iid``: equal random parts, the control setting in which personalization should not help."""

import numpy as np

from pfl_bench.api import RuleConfig, register_partition


class Iid(RuleConfig):
    """No parameters."""


@register_partition("iid", config=Iid, strata="all", summary="equal random parts")
def shares(config: Iid, counts: np.ndarray, clients: int, rng: np.random.Generator) -> np.ndarray:
    """The same share for every client."""
    return np.full((clients, len(counts)), 1 / clients)
