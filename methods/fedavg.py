"""FedAvg: one model for everyone."""

from typing import ClassVar

from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, Method, Moment, Params, Served, State, register_method

from ._server_optimizer import ServerConfig


@register_method("fedavg", paper="McMahan et al. 2017, AISTATS, arXiv:1602.05629, algorithm 1", family="baseline")
class FedAvg(Method):
    """w_i <- SGD(w) on every client of the cohort; w <- sum_i n_i w_i / sum_i n_i."""

    moment: ClassVar[Moment] = "global"
    search_space = {"lr": LEARNING_RATES}

    class Config(ServerConfig):
        """Plain local SGD; the mean is taken as it is, unless the server has an optimiser."""

    def init(self, fed: Federation) -> State:
        """The server's model."""
        server = fed.init_params()
        return State(server=server, **self.config.server_memory(fed, server))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """One round of federated averaging."""
        mean = fed.train_and_average(state.server, cohort, self.config.sgd())
        state.server = self.config.server_step(fed, state, state.server, mean)
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """The server's model."""
        return state.server

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params | Served:
        """The server's model as it is."""
        return fed.send(state.server, clients)
