"""FedDyn: a regulariser that moves with training makes the clients' optima agree with the server's."""

from dataclasses import dataclass

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Batch,
    Federation,
    LocalSgdConfig,
    Method,
    Net,
    Params,
    State,
    Tensors,
    cross_entropy,
    register_method,
    squared_distance,
    zeros_like,
)


@dataclass(frozen=True)
class DynamicallyRegularised:
    """L_i(theta) - <h_i, theta> + alpha / 2 ||theta - w||^2; ``aux`` is (w, h_i)."""

    alpha: float

    def __call__(self, net: Net, params: Tensors, batch: Batch, aux: tuple[Tensors, Tensors]) -> Tensor:
        """The loss of one client; running figures have no part in it."""
        w, h = aux
        linear = torch.stack([(h[k] * params[k]).sum() for k in h]).sum()
        moved = {k: params[k] for k in h}
        return cross_entropy(net, params, batch) - linear + self.alpha / 2 * squared_distance(moved, w)


@register_method("feddyn", paper="Acar et al. 2021, ICLR, arXiv:2111.04263, algorithm 1", family="baseline")
class FedDyn(Method):
    """theta_i ~ argmin L_i(theta) - <h_i, theta> + alpha / 2 ||theta - w||^2; h_i <- h_i - alpha (theta_i - w).

    h <- h - alpha / clients * sum (theta_i - w) over the cohort; w <- mean theta_i - h / alpha, unweighted. So h stays
    the mean of all h_i, which are the clients' gradients where the argmin is found. Here it is local SGD that looks
    for it, with the common momentum, decay and clipping. A vanishing alpha is not FedAvg: h / alpha does not vanish.
    """

    moment = "global"
    search_space = {"lr": LEARNING_RATES, "alpha": [0.1, 0.01, 0.001]}

    class Config(LocalSgdConfig):
        """Local SGD plus the weight of the regulariser; the paper tunes it over 0.1, 0.01 and 0.001."""

        alpha: PositiveFloat = Field(0.01, description="weight of the dynamic regulariser")

    def init(self, fed: Federation) -> State:
        """The server's model, h, and h_i per client, at zero."""
        server = fed.init_params()
        h = zeros_like(server.only(fed.model.trainable))
        return State(server=server, h=h, own=fed.per_client(h))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Regularised local training; both sides follow with their h."""
        alpha, w, own = self.config.alpha, fed.send(state.server, cohort), state.own.rows(cohort)
        loss = DynamicallyRegularised(alpha)
        theta = fed.train(w, cohort, self.config.sgd(), loss=loss, aux=(w, own)).params
        state.own.set_rows(cohort, {k: own[k] - alpha * (theta[k] - w[k]) for k in own})
        mean = fed.average(fed.collect(theta), cohort, "uniform")
        share = len(cohort) / fed.clients
        state.h = Params({k: h - alpha * share * (mean[k] - state.server[k]) for k, h in state.h.items()})
        state.server = mean | {k: mean[k] - h / alpha for k, h in state.h.items()}
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """The server's model w."""
        return state.server

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The server's model as it is."""
        return fed.send(state.server, clients)
