"""SuPerFed: every mixture of the federated and a personal model is trained to be good, by random weights."""

from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Batch,
    Federation,
    Gradient,
    GradientRule,
    LocalSgdConfig,
    Method,
    Net,
    Params,
    State,
    Tensors,
    Trained,
    cross_entropy,
    register_method,
    stacked,
)

from ._proximal import Proximal

OWN = "personal."
"""Before the names of the personal model, which trains beside the federated one."""


def federated_loss(net: Net, params: Tensors, batch: Batch, aux: Any) -> Tensor:
    """Cross-entropy under the names that the client model has."""
    return cross_entropy(net, {k: t for k, t in params.items() if k in net.model.names}, batch)


def squared_cosine_slopes(w: Tensors, v: Tensors) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The gradients of cos(w, v)^2 in w and in v."""
    inner, ww, vv = (
        torch.stack([(a[k] * b[k]).sum() for k in w]).sum().clamp(min=least)
        for a, b, least in ((w, v, -torch.inf), (w, w, 1e-12), (v, v, 1e-12))
    )
    c = 2 * inner / (ww * vv)
    in_w = {k: c * (v[k] - inner / ww * w[k]) for k in w}
    return in_w, {k: c * (w[k] - inner / vv * v[k]) for k in v}


@dataclass(frozen=True)
class MixedPath(GradientRule):
    """The gradient at (1 - lambda) w + lambda v in both, plus the slopes of the two penalties; the carry counts steps.

    ``aux``: ``lambda`` of every step ``[steps]``, and ``received``, which w is pulled to.
    """

    mu: float
    nu: float

    def __call__(
        self, gradient: Gradient, params: Tensors, batches: tuple[Batch, ...], aux: Any, carry: Any
    ) -> tuple[Tensors, Any]:
        """One step."""
        v = {k.removeprefix(OWN): t for k, t in params.items() if k.startswith(OWN)}
        w, share = {k: params[k] for k in v}, aux["lambda"].gather(0, carry.view(1)).squeeze(0)
        g = gradient({k: torch.lerp(w[k], v[k], share) for k in w}, batches[0])
        in_w, in_v = squared_cosine_slopes(w, v)
        down = {k: (1 - share) * g[k] + self.mu * (w[k] - aux["received"][k]) + self.nu * in_w[k] for k in w}
        return {**down, **{OWN + k: share * g[k] + self.nu * in_v[k] for k in v}}, carry + 1


@register_method("superfed", paper="Hahn et al. 2022, KDD, arXiv:2109.07628, model mixing (MM)", family="mixture")
class SuPerFed(Method):
    """w_i, v_i <- SGD on F_i((1 - lambda) w_i + lambda v_i) + mu / 2 ||w_i - w||^2 + nu cos(w_i, v_i)^2.

    lambda is uniform on [0, 1] at every step; w_i goes up and is averaged by samples. Until the share ``start`` of the
    budget is spent, w trains alone (FedProx). Served is the mixture with one lambda for all clients, or w where v_i has
    not trained. Deviations: the authors' code reports each client's best of eleven lambdas on test data, and its
    proximal norm is not squared. v_i begins at weights independent of w, the same for everybody.
    """

    search_space = {"lr": LEARNING_RATES, "served": [0.3, 0.5, 0.8], "nu": [0.1, 1.0, 2.0]}

    class Config(LocalSgdConfig):
        """The figures of the authors' scripts."""

        mu: NonNegativeFloat = Field(0.01, description="pull of w_i to the received w")
        nu: NonNegativeFloat = Field(1.0, description="strength of the push towards orthogonal w_i and v_i")
        start: float = Field(0.4, ge=0, le=1, description="L, share of the budget before v_i trains")
        served: float = Field(0.5, ge=0, le=1, description="lambda of the mixture that is served")

    @property
    def selected_from(self) -> float:
        """Before, nothing is personal."""
        return float(self.config.start)

    def init(self, fed: Federation) -> State:
        """w, a v_i per client, and whose v_i has trained."""
        seed = int(fed.generator("personal").integers(2**62))
        own = fed.model.init(seed, fed.device).only(fed.model.trainable)
        seen = torch.zeros(fed.clients, dtype=torch.bool, device=fed.device)
        return State(server=fed.init_params(), own=fed.per_client(own), seen=seen)

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """FedProx at first, then both models."""
        received = fed.send(state.server, cohort)
        if fed.progress < self.config.start:
            loss = Proximal(self.config.mu)
            trained = fed.train(received, cohort, self.config.sgd(), loss=loss, aux=received).params
        else:
            trained = self.both(fed, received, state.own.rows(cohort), cohort).params
            state.own.set_rows(cohort, {k: trained[OWN + k] for k in state.own})
            state.seen[cohort] = True
        state.server = fed.average(fed.collect(trained.only(state.server)), cohort)
        return state

    def both(self, fed: Federation, received: Params, own: Params, clients: Tensor) -> Trained:
        """Local steps on w_i and v_i."""
        drawn = fed.generator("lambda", fed.round).random((fed.clients, fed.local_steps))
        shares = torch.from_numpy(drawn).float().to(fed.device)[clients]
        start = received | {OWN + k: t for k, t in own.items()}
        moves = fed.model.trainable | {OWN + k for k in own}
        aux = {"lambda": shares, "received": received.only(fed.model.trainable)}
        turn = torch.zeros(len(clients), dtype=torch.int64, device=fed.device)
        rule = MixedPath(self.config.mu, self.config.nu)
        return fed.train(
            start, clients, self.config.sgd(), loss=federated_loss, rule=rule, aux=aux, carry=turn, trainable=moves
        )

    def global_params(self, fed: Federation, state: State) -> Params:
        """The federated model w."""
        return state.server

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Mixtures of the received w and v_i."""
        share = state.seen[clients].float() * self.config.served
        return mixed(fed.send(state.server, clients), state.own.rows(clients), share)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """A first visit, of which v_i stays; then the mixture."""
        received, fresh = fed.send(state.server, clients), stacked(state.own.default, len(clients))
        trained = self.both(fed, received, fresh, clients).params
        share = torch.full((len(clients),), self.config.served, device=fed.device)
        return mixed(received, Params({k: trained[OWN + k] for k in fresh}), share)


def mixed(w: Params, v: Params, share: Tensor) -> Params:
    """(1 - lambda) w + lambda v, for several clients; w where v has no such name."""
    return w | {k: torch.lerp(w[k], t, share.view(-1, *[1] * (t.dim() - 1))) for k, t in v.items()}
