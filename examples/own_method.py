"""A method of your own: every client keeps the model it trained last, and serves it mixed with the server's."""

from pydantic import Field
from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, LocalSgdConfig, Method, Params, State, register_method


@register_method("halfway", paper="none: an example", family="mixture")
class Halfway(Method):
    """w <- mean of SGD(w) over the cohort, as in FedAvg; v_i <- SGD(w); served is share v_i + (1 - share) w."""

    moment = "received"  # judged before any local step; "global" and "adapted" are the others
    search_space = {"lr": LEARNING_RATES, "share": [0.25, 0.5, 0.75]}  # what `tune` tries

    class Config(LocalSgdConfig):
        """Plain local SGD, and the mixture."""

        share: float = Field(0.5, ge=0, le=1, description="weight of the client's own model; 0 is FedAvg")

    def init(self, fed: Federation) -> State:
        """The server's model, and one per client: memory only for clients that were visited."""
        server = fed.init_params()
        return State(server=server, own=fed.per_client(server))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """What crosses the border goes through ``fed``, which counts its bytes and steps."""
        trained = fed.train(fed.send(state.server, cohort), cohort, self.config.sgd())
        state.own.set_rows(cohort, trained.params)
        state.server = fed.average(fed.collect(trained.params), cohort)
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """The server's model."""
        return state.server

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The mixtures, a row per client; a client that was never visited has the initial model."""
        share, own = self.config.share, state.own.rows(clients)
        received = fed.send(state.server, clients)
        return Params({name: share * own[name] + (1 - share) * received[name] for name in received})
