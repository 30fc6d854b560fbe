"""FedAvg: one model for everyone."""

from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, LocalSgdConfig, Method, Params, State, register_method


@register_method("fedavg", paper="McMahan et al. 2017, AISTATS, arXiv:1602.05629, algorithm 1")
class FedAvg(Method):
    """w_i <- SGD(w) on every client of the cohort; w <- sum_i n_i w_i / sum_i n_i."""

    moment = "global"
    search_space = {"lr": LEARNING_RATES}

    class Config(LocalSgdConfig):
        """Plain local SGD."""

    def init(self, fed: Federation) -> State:
        """The server's model."""
        return State(server=fed.init_params())

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """One round of federated averaging."""
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """The server's model."""
        return state.server

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The server's model as it is."""
        return fed.send(state.server, clients)
