"""APFL: every client learns how much of its own and how much of the federated model to use."""

from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
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
    stacked,
)


def mixture(v: Tensors, w: Tensors, alpha: Tensor) -> dict[str, Tensor]:
    """alpha v + (1 - alpha) w, for one client or, with alpha ``[c]``, for several."""
    shaped = {k: alpha.view(*alpha.shape, *[1] * (t.dim() - alpha.dim())) for k, t in v.items()}
    return {k: shaped[k] * t + (1 - shaped[k]) * w[k] for k, t in v.items()}


@dataclass(frozen=True)
class MixedStep(GradientRule):
    """One step of w_i, which SGD moves, and of the carry (v_i, alpha_i), moved here by the gradient at the mixture."""

    lr: float
    adaptive: bool

    @property
    def gradients(self) -> int:
        """At w_i and at the mixture."""
        return 2

    def __call__(
        self, gradient: Gradient, params: Tensors, batches: tuple[Batch, ...], aux: Any, carry: Any
    ) -> tuple[Tensors, Any]:
        """All three from where they stand, on one batch."""
        v, alpha = carry
        direction, at_mixture = gradient(params, batches[0]), gradient(mixture(v, params, alpha), batches[0])
        moved = {k: t - self.lr * alpha * at_mixture[k] for k, t in v.items()}
        if self.adaptive:
            slope = torch.stack([((t - params[k]) * at_mixture[k]).sum() for k, t in v.items()]).sum()
            alpha = (alpha - self.lr * slope).clamp(0, 1)
        return direction, (moved, alpha)


@register_method("apfl", paper="Deng et al. 2020, arXiv:2003.13461, algorithm 1, eq. 11 for alpha", family="mixture")
class Apfl(Method):
    """w_i <- w_i - lr grad f(w_i); v_i <- v_i - lr alpha_i grad f(m_i) with m_i = alpha_i v_i + (1 - alpha_i) w_i.

    alpha_i <- clip(alpha_i - lr <v_i - w_i, grad f(m_i)>) at every step. The server takes the plain mean of the w_i.
    A step costs two mini-batch gradients of the budget. What is evaluated mixes v_i with the received model. (The
    authors' code moves alpha_i at a visit's first step only, along a mean of two gradients, and shrinks it.)
    """

    search_space = {"lr": LEARNING_RATES, "alpha": [0.25, 0.5, 0.75]}

    class Config(MethodConfig):
        """Plain SGD, as in the paper, with one learning rate for all three."""

        lr: PositiveFloat = Field(0.01, description="learning rate of w_i, v_i and alpha_i")
        alpha: float = Field(0.5, ge=0, le=1, description="weight of v_i at the start; 1 is Local, 0 is FedAvg")
        adaptive: bool = Field(True, description="whether alpha_i is learnt")

    def init(self, fed: Federation) -> State:
        """The federated model, a personal one per client, and the weights of the personal ones."""
        server = fed.init_params()
        alpha = fed.per_client({"alpha": torch.tensor(self.config.alpha, device=fed.device)})
        return State(server=server, v=fed.per_client(server.only(fed.model.trainable)), alpha=alpha)

    def visit(self, fed: Federation, received: Params, v: Params, alpha: Params, clients: Tensor) -> Trained:
        """Local steps on w_i; the carry that comes back is (v_i, alpha_i)."""
        rule = MixedStep(self.config.lr, self.config.adaptive)
        return fed.train(received, clients, Sgd(self.config.lr), rule=rule, carry=(v, alpha["alpha"]))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Train; the w_i go up, v_i and alpha_i stay."""
        received = fed.send(state.server, cohort)
        trained = self.visit(fed, received, state.v.rows(cohort), state.alpha.rows(cohort), cohort)
        state.server = fed.average(fed.collect(trained.params), cohort, "uniform")
        v, alpha = trained.carry
        state.v.set_rows(cohort, v)
        state.alpha.set_rows(cohort, {"alpha": alpha})
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """The federated model w."""
        return state.server

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The mixtures of v_i and the received w."""
        received = fed.send(state.server, clients)
        return received | mixture(state.v.rows(clients), received, state.alpha.rows(clients)["alpha"])

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """As a first visit, but with v_i from the received model; then the mixture with it."""
        received = fed.send(state.server, clients)
        start, alpha = received.only(fed.model.trainable), stacked(state.alpha.default, len(clients))
        v, weight = self.visit(fed, received, start, alpha, clients).carry
        return received | mixture(v, received, weight)
