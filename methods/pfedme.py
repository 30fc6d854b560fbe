"""pFedMe: personal models as proximal points (Moreau envelopes) of a server model."""

from dataclasses import dataclass
from typing import Any

from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from pfl_bench.api import (
    Batch,
    Federation,
    Gradient,
    GradientRule,
    Method,
    MethodConfig,
    Params,
    Sgd,
    State,
    Tensors,
    Trained,
    register_method,
)


@dataclass(frozen=True)
class ProximalStep(GradientRule):
    """The gradient lam (w_i - theta) of the Moreau envelope; theta, the carry, is found by K steps on one batch."""

    lam: float
    lr: float
    inner_steps: int

    @property
    def gradients(self) -> int:
        """K."""
        return self.inner_steps

    def __call__(
        self, gradient: Gradient, params: Tensors, batches: tuple[Batch, ...], aux: Any, carry: Any
    ) -> tuple[Tensors, Any]:
        """K steps from theta = w_i."""
        theta = params
        for _ in range(self.inner_steps):
            slope = gradient(theta, batches[0])
            theta = {k: v - self.lr * (slope[k] + self.lam * (v - params[k])) for k, v in theta.items()}
        return {k: self.lam * (v - theta[k]) for k, v in params.items()}, theta


@register_method("pfedme", paper="Dinh et al. 2020, NeurIPS, arXiv:2006.08848, algorithm 1", family="mixture")
class PFedMe(Method):
    """theta_i ~ argmin f_i(theta; batch) + lam/2 ||theta - w_i||^2 by K steps; w_i <- w_i - lr lam (w_i - theta_i).

    The personal model that is evaluated is theta_i, stored as a copy.

    Deviations. Only the cohort trains (in the paper every client does, and only a sample is aggregated): the budget
    counts every client that trains. The K steps start from w_i for every batch, where the authors' code goes on from
    the last theta_i; its further weight decay of 0.001 on theta_i, which the paper does not have, is left out. The
    server's mean is uniform, as in the algorithm.
    """

    search_space = {
        "lr": [0.1, 0.05, 0.02, 0.01, 0.005],
        "personal_lr": [0.3, 0.1, 0.05, 0.02, 0.01],
        "lam": [1.0, 5.0, 15.0, 30.0],
        "inner_steps": [1, 3, 5],
    }

    class Config(MethodConfig):
        """The authors' defaults."""

        lam: PositiveFloat = Field(15.0, description="strength of the pull towards w")
        inner_steps: PositiveInt = Field(5, description="K, steps on one batch towards the proximal point")
        lr: PositiveFloat = Field(5e-3, description="eta, learning rate of w_i")
        personal_lr: PositiveFloat = Field(0.01, description="learning rate of the K steps")
        beta: PositiveFloat = Field(1.0, description="weight of the mean in the server's update")

    def init(self, fed: Federation) -> State:
        """The server's model and a personal model per client."""
        server = fed.init_params()
        return State(server=server, personal=fed.per_client(server))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Local rounds on the cohort; w <- (1 - beta) w + beta mean_i w_i."""
        trained = self.near(fed, state, cohort)
        mean = fed.average(fed.collect(trained.params), cohort, "uniform")
        beta = self.config.beta
        state.server = Params({k: (1 - beta) * w + beta * mean[k] for k, w in state.server.items()})
        state.personal.set_rows(cohort, trained.params | trained.carry)
        return state

    def near(self, fed: Federation, state: State, clients: Tensor) -> Trained:
        """Local rounds from the received w: w_i, and theta_i as the carry."""
        received, config = fed.send(state.server, clients), self.config
        rule = ProximalStep(config.lam, config.personal_lr, config.inner_steps)
        start = received.only(fed.model.trainable)
        return fed.train(received, clients, Sgd(config.lr), rule=rule, carry=start)

    def global_params(self, fed: Federation, state: State) -> Params:
        """The server's model w."""
        return state.server

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The personal models theta_i."""
        return state.personal.rows(clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The personal model that local rounds from the received w lead to."""
        trained = self.near(fed, state, clients)
        return trained.params | trained.carry
