"""Who of those that a round asks is there, and what share of its steps a client does: from streams of their own."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pfl_bench.seeds import numpy_generator
from pfl_bench.spec.heterogeneity import AvailabilitySpec

LEAST_PRESENCE = 0.01
"""The least probability that a client is there, so that nobody is never to be had and no run is without end."""

LEAST_SPREAD = 1e-6
"""Below it all clients are alike: no Beta distribution is as narrow in floating point."""


@dataclass(frozen=True)
class Availability:
    """A scenario's ``availability`` at a seed. Clients go by their number among all clients of the scenario."""

    spec: AvailabilitySpec = field(default_factory=AvailabilitySpec)
    seed: int = 0

    def probability(self, client: int) -> float:
        """With which a client is there when it is asked; drawn once."""
        mean, spread = self.spec.present, self.spec.spread
        if mean == 1 or spread < LEAST_SPREAD:
            return mean
        weight = 1 / spread - 1
        drawn = numpy_generator(self.seed, "availability", "client", client).beta(mean * weight, (1 - mean) * weight)
        return max(LEAST_PRESENCE, float(drawn))

    def present(self, clients: np.ndarray, round: int) -> np.ndarray:
        """Those of ``clients`` int64 ``[c]`` who are there in a round, in their order."""
        if self.spec.present == 1:
            return clients
        there = [
            numpy_generator(self.seed, "availability", "round", client, round).random() < self.probability(client)
            for client in clients.tolist()
        ]
        return clients[np.asarray(there, dtype=bool)]

    def shares(self, clients: Sequence[int], round: int) -> np.ndarray | None:
        """What share of their steps these clients do in a round, ``[c]``; None where the scenario has no stragglers.

        Ones, not None, in a round in which all happen to do all: so the rounds of several runs are one computation.
        """
        if self.spec.stragglers == 0:
            return None
        found = np.ones(len(clients))
        for position, client in enumerate(clients):
            rng = numpy_generator(self.seed, "availability", "work", client, round)
            if rng.random() < self.spec.stragglers:
                found[position] = rng.uniform(self.spec.least_work, 1)
        return found
