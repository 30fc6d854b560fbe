"""``shards``: samples sorted by label, cut into equal shards, dealt at random (McMahan et al. 2017)."""

import numpy as np
from pydantic import Field, PositiveInt

from pfl_bench.api import RuleConfig, register_partition


class Shards(RuleConfig):
    """``shards`` per client; 2 in the FedAvg paper."""

    shards: PositiveInt = Field(default=2, description="shards per client")


@register_partition("shards", config=Shards, summary="label-sorted shards dealt at random")
def shares(config: Shards, counts: np.ndarray, clients: int, rng: np.random.Generator) -> np.ndarray:
    """Share of class c in shard s = overlap of their intervals on the label-sorted line, over the class's size."""
    total = config.shards * clients
    ends = np.cumsum(counts).astype(float)
    starts = ends - counts
    cuts = np.linspace(0, counts.sum(), total + 1)
    overlap = np.minimum(ends, cuts[1:, None]) - np.maximum(starts, cuts[:-1, None])
    of_shard = np.clip(overlap, 0, None) / np.maximum(counts, 1)
    return of_shard[rng.permutation(total)].reshape(clients, config.shards, -1).sum(axis=1)
