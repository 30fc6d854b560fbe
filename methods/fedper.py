"""FedPer: a shared body under personal top layers."""

from pydantic import Field, NonNegativeInt
from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, Method, Params, State, register_method

from ._personal_part import fitted, parted, received, returned, untrained
from ._server_optimizer import ServerConfig


@register_method(
    "fedper", paper="Arivazhagan et al. 2019, arXiv:1912.00818, algorithms 1 and 2", family="body and head"
)
class FedPer(Method):
    """Clients train body and head jointly; the server averages the bodies, heads stay where they are."""

    search_space = {"lr": LEARNING_RATES}

    class Config(ServerConfig):
        """Local SGD; the paper personalises the last 1 to 4 blocks."""

        personal_layers: NonNegativeInt = Field(1, description="how many of the last layers are personal")

    def init(self, fed: Federation) -> State:
        """A shared body and a head per client, all from the common initial model."""
        return parted(fed, self.config, fed.model.top(self.config.personal_layers))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Send the body, train it with each client's head, average the bodies by sample counts."""
        trained = fed.train(received(fed, state, cohort), cohort, self.config.sgd()).params
        return returned(fed, self.config, state, cohort, trained)

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The shared body under each client's stored head."""
        return received(fed, state, clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit a fresh head under the frozen shared body."""
        return fitted(fed, untrained(fed, state, clients), clients, self.config.sgd(), frozenset(state.heads))
