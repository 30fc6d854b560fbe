"""SCAFFOLD: control variates take the drift out of local training."""

from dataclasses import dataclass
from typing import Any

from pydantic import Field, PositiveFloat
from torch import Tensor

from pfl_bench.api import (
    PLAIN_LEARNING_RATES,
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
    zeros_like,
)


@dataclass(frozen=True)
class Corrected(GradientRule):
    """The gradient plus c - c_i, which is ``aux``."""

    def __call__(
        self, gradient: Gradient, params: Tensors, batches: tuple[Batch, ...], aux: Any, carry: Any
    ) -> tuple[Tensors, Any]:
        """Correct."""
        return {k: g + aux[k] for k, g in gradient(params, batches[0]).items()}, carry


@register_method(
    "scaffold", paper="Karimireddy et al. 2020, ICML, arXiv:1910.06378, algorithm 1, option II", family="baseline"
)
class Scaffold(Method):
    """K steps y <- y - lr (g(y) - c_i + c) from y = w; c_i+ = c_i - c + (w - y) / (K lr); a straggler's K is its own.

    w <- w + server_lr mean (y - w) over the cohort, unweighted; c <- c + cohort / clients * mean (c_i+ - c_i). So c
    stays the mean of all c_i. Plain SGD, for which c_i+ is the mean of the gradients that the visit saw.
    """

    moment = "global"
    search_space = {"lr": PLAIN_LEARNING_RATES, "server_lr": [0.5, 1.0]}

    class Config(MethodConfig):
        """No momentum, decay or clipping: with them (w - y) / (K lr) is no gradient."""

        lr: PositiveFloat = Field(0.05, description="local learning rate")
        server_lr: PositiveFloat = Field(1.0, description="eta_g, weight of the mean in the server's update")

    def init(self, fed: Federation) -> State:
        """The server's model, its control variate and one per client, at zero."""
        server = fed.init_params()
        c = zeros_like(server.only(fed.model.trainable))
        return State(server=server, c=c, own=fed.per_client(c))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Corrected local training; the clients' models and the change of their control variates go up."""
        lr, eta = self.config.lr, self.config.server_lr
        w, c, own = fed.send(state.server, cohort), fed.send(state.c, cohort), state.own.rows(cohort)
        correction = Params({k: c[k] - own[k] for k in c})
        trained = fed.train(w, cohort, Sgd(lr), rule=Corrected(), aux=correction)
        steps = trained.steps.cpu() if fed.device.type == "mps" else trained.steps  # Apple's GPUs have no float64
        y, reach = trained.params, (steps.double() * lr).float().to(fed.device)
        new = Params({k: (w[k] - y[k]) / reach.view(-1, *[1] * (w[k].dim() - 1)) - correction[k] for k in c})
        mean = fed.average(fed.collect(y), cohort, "uniform")
        change = fed.average(fed.collect({k: new[k] - own[k] for k in c}), cohort, "uniform")
        moved = {k: (1 - eta) * state.server[k] + eta * mean[k] for k in c}
        state.server = mean | moved  # running figures are averaged
        state.c = Params({k: v + len(cohort) / fed.clients * change[k] for k, v in state.c.items()})
        state.own.set_rows(cohort, new)
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """The server's model w."""
        return state.server

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The server's model as it is."""
        return fed.send(state.server, clients)
