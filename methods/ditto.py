"""Ditto: a personal model per client, regularised towards the federated one."""

from pydantic import Field, NonNegativeFloat
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Federation,
    Method,
    Params,
    State,
    UnsuitedError,
    register_method,
    stacked,
)

from ._proximal import Proximal
from ._server_optimizer import ServerConfig


@register_method("ditto", paper="Li et al. 2021, ICML, arXiv:2012.04221, algorithm 1", family="mixture")
class Ditto(Method):
    """w as in FedAvg; v_i <- v_i - lr (grad f_i(v_i) + lam (v_i - w)), with the w that was received (eq. 1).

    Deviations. A visit's local steps are divided between v_i and w, so that Ditto costs what the other methods cost;
    in the paper either has its own. The pull is part of the gradient, so momentum and clipping see it. lam is one for
    all clients and rounds; the authors' code can also adapt it per client.
    """

    search_space = {"lr": LEARNING_RATES, "lam": [0.05, 0.1, 1.0, 2.0]}

    class Config(ServerConfig):
        """Local SGD for both models; the paper tunes lam between 0.05 and 2."""

        lam: NonNegativeFloat = Field(1.0, description="pull towards the federated model; 0 is Local")
        personal_share: float = Field(0.5, gt=0, lt=1, description="share of the local steps for the personal model")

    def init(self, fed: Federation) -> State:
        """The federated model and a personal one per client."""
        server = fed.init_params()
        return State(server=server, personal=fed.per_client(server), **self.config.server_memory(fed, server))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Personal steps towards the received model, then a round of federated averaging."""
        personal_steps = round(self.config.personal_share * fed.local_steps)
        server_steps = fed.local_steps - personal_steps
        if not personal_steps or not server_steps:
            raise UnsuitedError(f"local_steps={fed.local_steps} cannot be divided between Ditto's two models")
        trained = fed.train(
            state.personal.rows(cohort),
            cohort,
            self.config.sgd(),
            loss=Proximal(self.config.lam),
            aux=stacked(state.server, len(cohort)),
            steps=personal_steps,
        )
        state.personal.set_rows(cohort, trained.params)
        mean = fed.train_and_average(state.server, cohort, self.config.sgd(), steps=server_steps)
        state.server = self.config.server_step(fed, state, state.server, mean)
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """The federated model w."""
        return state.server

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The personal models v_i."""
        return state.personal.rows(clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit a personal model, from the received model and towards it."""
        received = fed.send(state.server, clients)
        trained = fed.train(received, clients, self.config.sgd(), loss=Proximal(self.config.lam), aux=received)
        return trained.params
