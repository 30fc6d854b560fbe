"""APPLE: every client learns how much of each client's core model its own model is made of."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat
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
    register_method,
)


@dataclass(frozen=True)
class CoreStep(GradientRule):
    """One step of w_i, which SGD moves, and of the carry (p_i, its momentum), both by the gradient at theta_i.

    ``aux``: the ``models`` of all clients as received ``[n, ...]``, which of them is one's ``own`` ``[n]``, that one as
    it was at the ``start``, ``p0`` ``[n]`` and the strength of the ``pull`` to it.
    """

    lr: float
    momentum: float

    def __call__(
        self, gradient: Gradient, params: Tensors, batches: tuple[Batch, ...], aux: Any, carry: Any
    ) -> tuple[Tensors, Any]:
        """d F / d w_i = p_ii g and d F / d p_ij = <g, w_j>, with g the gradient at theta_i.

        All models are read twice and not copied: what the own one has moved by comes on top of what was received.
        """
        p, buffer = carry
        received, own = aux["models"], aux["own"]
        weight = (own * p).sum()
        moved = {k: w - aux["start"][k] for k, w in params.items()}
        g = gradient({k: torch.tensordot(p, received[k], dims=1) + weight * d for k, d in moved.items()}, batches[0])
        slopes = [F.linear(g[k].flatten(), received[k].flatten(1)) + own * (g[k] * d).sum() for k, d in moved.items()]
        buffer = self.momentum * buffer + torch.stack(slopes).sum(0) + aux["pull"] * (p - aux["p0"])
        return {k: weight * t for k, t in g.items()}, (p - self.lr * buffer, buffer)


@register_method("apple", paper="Luo and Wu 2022, IJCAI, arXiv:2110.08394, algorithm 1", family="relation")
class Apple(Method):
    """theta_i = sum_j p_ij w_j; SGD on F_i(theta_i) + mu lambda(r) / 2 ||p_i - p0||^2 in w_i and p_i; w_i goes up.

    p_i is not constrained and starts at p0, the clients' shares of all samples. lambda falls from 1, by a cosine to 0
    or exponentially to 0.001, until the share ``pulled`` of the budget is spent; then it is 0. Every client is sent all
    core models (the paper's limit on downloads is left out). A visit is of the cohort only, in the paper of everybody.
    No rule for new clients, who have no core model.
    """

    version = 2
    search_space = {"lr": LEARNING_RATES, "relation_lr": [1e-4, 1e-3, 1e-2], "mu": [0.01, 0.1, 1.0]}

    class Config(MethodConfig):
        """The authors' code, with momentum in both steps and without weight decay or clipping."""

        lr: PositiveFloat = Field(0.01, description="learning rate of the core model w_i")
        relation_lr: PositiveFloat = Field(1e-3, description="learning rate of p_i, the directed relationships")
        momentum: float = Field(0.9, ge=0, lt=1, description="of both, reset at every visit")
        mu: NonNegativeFloat = Field(0.1, description="strength of the pull of p_i to p0 at the start")
        pulled: float = Field(0.1, gt=0, le=1, description="share of the budget until the pull ends")
        schedule: Literal["exponential", "cosine"] = "exponential"

    def init(self, fed: Federation) -> State:
        """A core model and p_i per client."""
        p0 = fed.sizes / fed.sizes.sum()
        return State(models=fed.per_client(fed.init_params()), p=fed.per_client({"p": p0}))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Send all core models; the clients' own come back, p_i stays."""
        models, p = state.models.rows(fed.everyone), state.p.rows(cohort)["p"]
        sent, moves, start = fed.send(models, cohort), fed.model.trainable, state.models.rows(cohort)
        aux = {
            "models": sent.only(moves),
            "start": start.only(moves),
            "own": torch.eye(fed.clients, device=fed.device)[cohort],
            "p0": state.p.default["p"].expand_as(p),
            "pull": torch.full((len(cohort),), self.pull(fed.progress), device=fed.device),
        }
        config = self.config
        rule, sgd = CoreStep(config.relation_lr, config.momentum), Sgd(config.lr, config.momentum)
        trained = fed.train(start, cohort, sgd, rule=rule, aux=aux, carry=(p, torch.zeros_like(p)))
        state.models.set_rows(cohort, fed.collect(trained.params))
        state.p.set_rows(cohort, {"p": trained.carry[0]})
        return state

    def pull(self, progress: float) -> float:
        """mu lambda(r)."""
        done = progress / self.config.pulled
        if done >= 1:
            return 0.0
        fall = (1 + np.cos(np.pi * done)) / 2 if self.config.schedule == "cosine" else 0.001**done
        return float(self.config.mu * fall)

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The mixtures theta_i; running figures are each client's own."""
        models, p = state.models.rows(fed.everyone), state.p.rows(clients)["p"]
        theta = {k: torch.tensordot(p, models[k], dims=1) for k in models if k in fed.model.trainable}
        return state.models.rows(clients) | theta
