"""FedPer: a shared body under personal top layers."""

from pydantic import Field, NonNegativeInt
from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, LocalSgdConfig, Method, Params, State, register_method, stacked


@register_method("fedper", paper="Arivazhagan et al. 2019, arXiv:1912.00818, algorithms 1 and 2")
class FedPer(Method):
    """Clients train body and head jointly; the server averages the bodies, heads stay where they are."""

    search_space = {"lr": LEARNING_RATES}

    class Config(LocalSgdConfig):
        """Local SGD; the paper personalises the last 1 to 4 blocks."""

        personal_layers: NonNegativeInt = Field(1, description="how many of the last layers are personal")

    def init(self, fed: Federation) -> State:
        """A shared body and a head per client, all from the common initial model."""
        body, head = fed.split(fed.init_params(), self.config.personal_layers)
        return State(body=body, heads=fed.per_client(head))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Send the body, train it with each client's head, average the bodies by sample counts."""
        start = fed.send(state.body, cohort) | state.heads.rows(cohort)
        trained = fed.train(start, cohort, self.config.sgd()).params
        state.body = fed.average(fed.collect(trained.only(state.body)), cohort)
        state.heads.set_rows(cohort, trained)
        return state

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The shared body under each client's stored head."""
        return fed.send(state.body, clients) | state.heads.rows(clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit a fresh head under the frozen shared body."""
        _, head = fed.split(fed.init_params(), self.config.personal_layers)
        start = fed.send(state.body, clients) | stacked(head, len(clients))
        return fed.train(start, clients, self.config.sgd(), trainable=frozenset(head)).params
