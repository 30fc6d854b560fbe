"""FedRep: a shared body under personal heads; a visit trains the head first, then the body."""

from pydantic import Field
from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, Method, Params, State, register_method

from ._personal_part import alternately, fitted, parted, received, returned, untrained
from ._server_optimizer import ServerConfig


@register_method("fedrep", paper="Collins et al. 2021, ICML, arXiv:2102.07078, algorithm 1", family="body and head")
class FedRep(Method):
    """h_i <- SGD under the frozen received body; body_i <- SGD under the frozen h_i; the bodies are averaged.

    Evaluated as in the authors' code, after the heads were trained anew under the final body. Deviations: the heads
    start from the common initial model's; momentum and decay are the common ones (the authors' are 0.5 and 1e-4).
    """

    moment = "adapted"
    search_space = {"lr": LEARNING_RATES, "head_share": [0.5, 0.7, 0.9]}

    class Config(ServerConfig):
        """Local SGD; of a visit's epochs the authors give 10 of 11 (CIFAR-10) or 10 of 15 (CIFAR-100) to the head."""

        head_share: float = Field(0.9, gt=0, le=1, description="share of a visit's local steps for the head")

    def init(self, fed: Federation) -> State:
        """A shared body and a head per client, all from the common initial model."""
        return parted(fed, self.config, fed.model.head)

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Head steps, then body steps; average the bodies by sample counts."""
        start, sgd = received(fed, state, cohort), self.config.sgd()
        trained = alternately(fed, start, cohort, sgd, fed.model.head, self.config.head_share)
        return returned(fed, self.config, state, cohort, trained)

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The shared body under each client's stored head."""
        return received(fed, state, clients)

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Train each client's stored head under the shared body."""
        return fitted(fed, received(fed, state, clients), clients, self.config.sgd(), fed.model.head, "head")

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit a fresh head under the shared body."""
        return fitted(fed, untrained(fed, state, clients), clients, self.config.sgd(), fed.model.head, "head")
