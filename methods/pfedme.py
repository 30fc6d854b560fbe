"""pFedMe: personal models as proximal points (Moreau envelopes) of a server model."""

from typing import Any

from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from pfl_bench.api import (
    Batch,
    Federation,
    Gradient,
    Method,
    MethodConfig,
    Params,
    Sgd,
    State,
    Tensors,
    register_method,
)


@register_method("pfedme", paper="Dinh et al. 2020, NeurIPS, arXiv:2006.08848, algorithm 1")
class PFedMe(Method):
    """theta_i ~ argmin f_i(theta; batch) + lam/2 ||theta - w_i||^2 by K steps; w_i <- w_i - lr lam (w_i - theta_i).

    The personal model that is evaluated is theta_i, stored as a copy. Only the cohort trains (in the paper
    every client does, and only a sample is aggregated): the budget counts every client that trains.
    """

    search_space = {"lr": [0.05, 0.02, 0.01, 0.005], "personal_lr": [0.1, 0.05, 0.01, 0.005], "lam": [5.0, 15.0]}

    class Config(MethodConfig):
        """The authors' defaults."""

        lam: PositiveFloat = Field(15.0, description="strength of the pull towards w")
        inner_steps: PositiveInt = Field(5, description="K, steps on one batch towards the proximal point")
        lr: PositiveFloat = Field(5e-3, description="eta, learning rate of w_i")
        personal_lr: PositiveFloat = Field(0.01, description="learning rate of the K steps")
        beta: PositiveFloat = Field(1.0, description="weight of the mean in the server's update")

    def proximal_step(
        self, gradient: Gradient, params: Tensors, batches: tuple[Batch, ...], aux: Any, theta: Any
    ) -> tuple[Tensors, Any]:
        """K steps on one batch from theta = w_i, then the gradient lam (w_i - theta) of the envelope."""
        theta = params
        for _ in range(self.config.inner_steps):
            slope = gradient(theta, batches[0])
            theta = {
                k: v - self.config.personal_lr * (slope[k] + self.config.lam * (v - params[k]))
                for k, v in theta.items()
            }
        return {k: self.config.lam * (v - theta[k]) for k, v in params.items()}, theta

    def init(self, fed: Federation) -> State:
        """The server's model and a personal model per client."""
        server = fed.init_params()
        return State(server=server, personal=fed.per_client(server))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Local rounds on the cohort; w <- (1 - beta) w + beta mean_i w_i."""
        start = fed.send(state.server, cohort)
        steps = self.config.inner_steps
        trained = fed.train(
            start,
            cohort,
            Sgd(self.config.lr),
            rule=self.proximal_step,
            memory=start,
            gradients_per_step=steps,
        )
        mean = fed.average(fed.collect(trained.params), cohort, "uniform")
        beta = self.config.beta
        state.server = Params({k: (1 - beta) * w + beta * mean[k] for k, w in state.server.items()})
        state.personal.set_rows(cohort, trained.memory)
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """The server's model w."""
        server: Params = state.server
        return server

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The personal models theta_i."""
        personal: Params = state.personal.rows(clients)
        return personal

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The personal model that local rounds from the received w lead to."""
        received = fed.send(state.server, clients)
        sgd, steps = Sgd(self.config.lr), self.config.inner_steps
        trained = fed.train(received, clients, sgd, rule=self.proximal_step, memory=received, gradients_per_step=steps)
        return Params(trained.memory)
