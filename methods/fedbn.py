"""FedBN: each client keeps its own BatchNorm layers."""

from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, Method, Params, State, register_method

from ._personal_part import fitted, parted, received, returned, untrained
from ._server_optimizer import ServerConfig


@register_method("fedbn", paper="Li et al. 2021, ICLR, arXiv:2102.07623, algorithm 1", family="body and head")
class FedBn(Method):
    """FedAvg, but for the weights, biases and running figures of BatchNorm layers, which stay with their clients.

    The layers are found by their type, not by their names. A client model without any leaves FedAvg, which ``run``
    says. Deviation: means are weighted by samples (in the paper's experiments all clients have equally many).
    """

    search_space = {"lr": LEARNING_RATES}
    without_batch_norm = "FedAvg"

    class Config(ServerConfig):
        """Plain local SGD."""

    def init(self, fed: Federation) -> State:
        """A shared model, and BatchNorm layers per client, all from the common initial model."""
        return parted(fed, self.config, fed.model.norms)

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Train everything; average all but the BatchNorm layers by sample counts."""
        trained = fed.train(received(fed, state, cohort), cohort, self.config.sgd()).params
        return returned(fed, self.config, state, cohort, trained)

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The shared model with each client's BatchNorm layers."""
        return received(fed, state, clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit fresh BatchNorm layers in the frozen shared model; without any it is served as it is."""
        return fitted(fed, untrained(fed, state, clients), clients, self.config.sgd(), frozenset(state.heads))
