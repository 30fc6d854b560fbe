"""``dirichlet``: class shares drawn from a Dirichlet distribution (Hsu et al. 2019, arXiv:1909.06335)."""

from typing import Literal

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from pfl_bench.api import RequestError, RuleConfig, register_partition

ATTEMPTS = 200


class Dirichlet(RuleConfig):
    """Small ``alpha`` is more skewed.

    ``by="class"`` draws each class's division over the clients; ``by="client"`` draws each client's class
    mixture and normalises per class, so that each class is divided completely (as pFedGP does). Tables are
    redrawn until every client expects at least ``min_samples`` training samples. ``last_alphas``: the last
    clients (the novel ones, where some are left out) have these instead of ``alpha``, one each; needs
    ``by="client"``.
    """

    alpha: PositiveFloat = Field(description="the smaller, the more skewed")
    last_alphas: tuple[PositiveFloat, ...] = Field(
        default=(), description='those of the last clients (the novel ones), one each; needs by = "client"'
    )
    by: Literal["class", "client"] = Field(
        default="class", description="class: each class is divided over the clients; client: each client mixes classes"
    )
    min_samples: PositiveInt = Field(default=10, description="redrawn until every client expects so many to train on")


@register_partition("dirichlet", config=Dirichlet, summary="class shares from Dir(alpha)")
def shares(config: Dirichlet, counts: np.ndarray, clients: int, rng: np.random.Generator) -> np.ndarray:
    """Draw share tables until every client has enough; RequestError after 200 attempts."""
    if config.last_alphas and config.by != "client":
        raise RequestError('dirichlet: last_alphas needs by="client"')
    if len(config.last_alphas) >= clients:
        raise RequestError(f"dirichlet: {len(config.last_alphas)} last_alphas for {clients} clients; give fewer")
    alphas = [config.alpha] * (clients - len(config.last_alphas)) + list(config.last_alphas)
    for _ in range(ATTEMPTS):
        if config.by == "class":
            table = rng.dirichlet(np.full(clients, config.alpha), size=len(counts)).T
        else:
            table = np.stack([rng.dirichlet(np.full(len(counts), alpha)) for alpha in alphas])
            table = table / np.maximum(table.sum(axis=0, keepdims=True), np.finfo(float).tiny)
        if np.allclose(table.sum(axis=0), 1) and (table @ counts).min() >= config.min_samples:
            return table
    raise RequestError(
        f"dirichlet: in {ATTEMPTS} draws with alpha={config.alpha} some of {clients} clients always got fewer than "
        f"min_samples={config.min_samples} of {int(counts.sum())} samples; use a larger alpha or fewer clients"
    )
