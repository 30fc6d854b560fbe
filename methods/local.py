"""Local training: every client on its own. The baseline that collaboration has to beat."""

from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, LocalSgdConfig, Method, Params, State, register_method, stacked


@register_method("local", paper="no collaboration", family="baseline")
class Local(Method):
    """theta_i <- SGD on client i's data, from a common initial model; nothing is sent."""

    search_space = {"lr": LEARNING_RATES}

    class Config(LocalSgdConfig):
        """Plain local SGD."""

    def init(self, fed: Federation) -> State:
        """A copy of the initial model for every client."""
        return State(clients=fed.per_client(fed.init_params()))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Train the cohort's own models."""
        trained = fed.train(state.clients.rows(cohort), cohort, self.config.sgd())
        state.clients.set_rows(cohort, trained.params)
        return state

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The clients' own models."""
        return state.clients.rows(clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Train the initial model on the client's own data."""
        return fed.train(stacked(fed.init_params(), len(clients)), clients, self.config.sgd()).params
