"""FedALA: a client mixes the received model into its own, weight by weight, before it trains."""

from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Batch,
    Federation,
    Gradient,
    GradientRule,
    LocalSgdConfig,
    Method,
    Params,
    Sgd,
    State,
    Tensors,
    register_method,
)


def mixed(old: Tensors, new: Tensors, weights: Tensors) -> dict[str, Tensor]:
    """old + (new - old) * W; exactly new where W is 1 and exactly old where it is 0."""
    return {k: torch.lerp(old[k], new[k], weight) for k, weight in weights.items()}


@dataclass(frozen=True)
class LearnWeights(GradientRule):
    """W <- clip(W - eta grad L(theta) * (w - old), 0, 1) with theta the mixture, eq. 5.

    ``params`` are the received top layers w, which stay; ``aux`` the old ones; W is the carry.
    """

    eta: float

    def __call__(
        self, gradient: Gradient, params: Tensors, batches: tuple[Batch, ...], aux: Any, carry: Any
    ) -> tuple[Tensors, Any]:
        """Move W; the direction is for a learning rate of 0."""
        found = gradient(mixed(aux, params, carry), batches[0])
        moved = {k: (W - self.eta * found[k] * (params[k] - aux[k])).clamp(0, 1) for k, W in carry.items()}
        return found, moved


@register_method("fedala", paper="Zhang et al. 2023, AAAI, arXiv:2212.01197, algorithm 1", family="mixture")
class FedAla(Method):
    """theta_i = old_i + (w - old_i) * W_i in the top layers, theta_i = w below; then local SGD; FedAvg on the server.

    W_i starts at 1 (theta_i = w) and is learnt on arrival, long at a client's first visit, briefly at later ones.
    In the very first round w = old_i, and nothing can be learnt. Deviations: the steps on W_i come out of the visit's
    budget, so their number is fixed (the authors repeat passes until the loss settles, then one pass over 80 % of the
    data); they draw batches from all of the client's data. No rule for new clients, who have no old_i: they would be
    served the server's model.
    """

    moment = "adapted"
    search_space = {"lr": LEARNING_RATES}

    class Config(LocalSgdConfig):
        """Local SGD plus adaptive local aggregation (ALA)."""

        eta: PositiveFloat = Field(1.0, description="learning rate of W")
        layers: PositiveInt = Field(1, description="p, how many of the last layers are mixed")
        first_steps: NonNegativeInt = Field(10, description="steps on W at a client's first visit")
        later_steps: NonNegativeInt = Field(2, description="steps on W at its later visits, and to be evaluated")

    def init(self, fed: Federation) -> State:
        """The server's model; per client its last top layers, their W, and whether W was ever learnt."""
        server = fed.init_params()
        top = server.only(fed.model.top(self.config.layers) & fed.model.trainable)
        seen = torch.zeros(fed.clients, dtype=torch.bool, device=fed.device)
        return State(server=server, old=fed.per_client(top), W=fed.per_client(top.map(torch.ones_like)), seen=seen)

    def ala(self, fed: Federation, state: State, clients: Tensor, steps: Tensor) -> tuple[Params, Tensors]:
        """The mixed models theta_i, and the W_i after so many steps each."""
        received, old, weights = fed.send(state.server, clients), state.old.rows(clients), state.W.rows(clients)
        learnt: Tensors = fed.train(
            received, clients, Sgd(0.0), rule=LearnWeights(self.config.eta), aux=old, carry=weights, steps=steps,
            trainable=frozenset(old), stream="ala",
        ).carry  # fmt: skip
        return received | mixed(old, received, learnt), learnt

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Mix, train with the steps that are left, average by sample counts."""
        wanted = torch.where(state.seen[cohort], self.config.later_steps, self.config.first_steps)
        steps = wanted.clamp(max=fed.local_steps - 1) if fed.round else torch.zeros_like(cohort)
        start, weights = self.ala(fed, state, cohort, steps)
        trained = fed.train(start, cohort, self.config.sgd(), steps=fed.local_steps - steps).params
        state.old.set_rows(cohort, trained)
        state.W.set_rows(cohort, weights)
        state.seen[cohort] = fed.round > 0
        state.server = fed.average(fed.collect(trained), cohort)
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """The server's model w."""
        return state.server

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The mixed models, after a few steps on W and none on the weights."""
        steps = min(self.config.later_steps, fed.local_steps)
        return self.ala(fed, state, clients, torch.full_like(clients, steps))[0]
