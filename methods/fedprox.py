"""FedProx: FedAvg with local training held near the server's model."""

from pydantic import Field, NonNegativeFloat
from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, State, register_method, stacked

from ._proximal import Proximal
from .fedavg import FedAvg


@register_method("fedprox", paper="Li et al. 2020, MLSys, arXiv:1812.06127, eq. 2", family="baseline")
class FedProx(FedAvg):
    """Clients minimise F_i(theta) + mu/2 ||theta - w||^2; the server averages as FedAvg does."""

    search_space = {"lr": LEARNING_RATES, "mu": [1e-3, 1e-2, 1e-1, 1.0]}

    class Config(FedAvg.Config):
        """Local SGD plus the proximal weight; the paper tunes mu over 0.001, 0.01, 0.1 and 1."""

        mu: NonNegativeFloat = Field(0.1, description="weight of the proximal term; 0 is FedAvg")

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """One round of federated averaging on the proximal loss."""
        anchor, loss = stacked(state.server, len(cohort)), Proximal(self.config.mu)
        mean = fed.train_and_average(state.server, cohort, self.config.sgd(), loss=loss, aux=anchor)
        state.server = self.config.server_step(fed, state, state.server, mean)
        return state
