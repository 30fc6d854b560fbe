"""FedProx: FedAvg with local training held near the server's model."""

from typing import Any

from pydantic import Field, NonNegativeFloat
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Apply,
    Batch,
    Federation,
    LocalSgdConfig,
    Method,
    Params,
    State,
    Tensors,
    cross_entropy,
    register_method,
    squared_distance,
    stacked,
)


@register_method("fedprox", paper="Li et al. 2020, MLSys, arXiv:1812.06127, eq. 2")
class FedProx(Method):
    """Clients minimise F_i(theta) + mu/2 ||theta - w||^2; the server averages as FedAvg does."""

    moment = "global"
    search_space = {"lr": LEARNING_RATES, "mu": [1e-3, 1e-2, 1e-1, 1.0]}

    class Config(LocalSgdConfig):
        """Local SGD plus the proximal weight; the paper tunes mu over 0.001, 0.01, 0.1 and 1."""

        mu: NonNegativeFloat = Field(0.1, description="weight of the proximal term; 0 is FedAvg")

    def loss(self, apply: Apply, params: Tensors, batch: Batch, server: Any) -> Tensor:
        """Eq. 2; the norm is squared."""
        return cross_entropy(apply, params, batch) + self.config.mu / 2 * squared_distance(params, server)

    def init(self, fed: Federation) -> State:
        """The server's model."""
        return State(server=fed.init_params())

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """One round of federated averaging on the proximal loss."""
        anchor = stacked(state.server, len(cohort))
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd(), loss=self.loss, aux=anchor)
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """The server's model."""
        server: Params = state.server
        return server

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The server's model as it is."""
        return fed.send(state.server, clients)
