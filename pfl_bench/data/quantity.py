"""Quantity skew: how many samples each client holds, as a law of sizes that composes with any split of the labels."""

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from pfl_bench.errors import RequestError


class Sizes(BaseModel):
    """Every client gets ``min_samples`` training samples (validation included); what is left follows the law."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min_samples: PositiveInt = Field(
        default=10, description="training samples, validation included, that every client gets"
    )

    def drawn(self, clients: int, rng: np.random.Generator) -> np.ndarray:
        """What each client has of what is left, in proportion, ``[clients]``."""
        raise NotImplementedError


class DirichletSizes(Sizes):
    """Shares from Dir(beta): Li et al. 2022, NIID-Bench, arXiv:2102.02079, which redraws where a client has too few."""

    law: Literal["dirichlet"]
    beta: float = Field(ge=1e-3, le=1e6, description="the smaller, the more unequal")

    def drawn(self, clients: int, rng: np.random.Generator) -> np.ndarray:
        """One draw."""
        return rng.dirichlet(np.full(clients, self.beta))


class LogNormalSizes(Sizes):
    """exp(N(0, sigma^2)): what LEAF's and FedProx's generators draw, with sigma 2; FedProx calls it a power law."""

    law: Literal["lognormal"]
    sigma: float = Field(2.0, gt=0, le=10, description="the larger, the more unequal")

    def drawn(self, clients: int, rng: np.random.Generator) -> np.ndarray:
        """One draw per client."""
        return rng.lognormal(0, self.sigma, clients)


class PowerLawSizes(Sizes):
    """P(size > s) ~ s^-exponent: a true power law; the smaller the exponent, the more a few clients hold."""

    law: Literal["power"]
    exponent: float = Field(1.5, ge=0.1, le=100, description="the smaller, the more unequal")

    def drawn(self, clients: int, rng: np.random.Generator) -> np.ndarray:
        """One draw per client."""
        return 1 + rng.pareto(self.exponent, clients)


LAWS: tuple[type[Sizes], ...] = (DirichletSizes, LogNormalSizes, PowerLawSizes)
Quantity = Annotated[DirichletSizes | LogNormalSizes | PowerLawSizes, Field(discriminator="law")]


def resized(shares: np.ndarray, law: Sizes, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A share table ``[clients, strata]`` with its rows scaled by the law, each stratum as far dealt as before.

    Where all clients have the same mixture of classes their sizes are the law's; else a client that should be large is
    so within its classes, and sizes follow the law as far as the classes have samples. RequestError where not
    everybody can have ``min_samples`` of ``counts`` ``[strata]``.
    """
    clients, samples = len(shares), int(counts.sum())
    if law.min_samples * clients > samples:
        raise RequestError(
            f"quantity: min_samples={law.min_samples} for each of {clients} clients is more than the {samples} "
            f"training samples; use at most {samples // clients}"
        )
    drawn = law.drawn(clients, rng)
    least = law.min_samples / samples
    size = least + (1 - least * clients) * drawn / drawn.sum()
    scaled = shares * (clients * size)[:, None]
    dealt, now = shares.sum(axis=0), scaled.sum(axis=0)
    return scaled * np.divide(dealt, now, out=np.zeros_like(now), where=now > 0)
