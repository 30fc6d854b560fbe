"""PeFLL: a network embeds a client's data, a hypernetwork makes its model of that; newcomers need no training."""

from typing import Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from pfl_bench.api import (
    Federation,
    Method,
    Params,
    State,
    UnsuitedError,
    register_method,
    stacked,
)

from ._adam import adam_moments, adam_step_, clipped
from ._embedding import embedded, embedding_gradient, init_embedding_network
from ._hypernetwork import HypernetworkConfig, embedding_size, generate, init_hypernetwork, pulled_back


def measured(scale: Params, v: Tensor) -> Params:
    """Mean and deviation of all numbers of the embeddings, unless they are known: then ``std`` is not 0."""
    spread = v.std(correction=0)
    first = {"mean": v.mean(), "std": torch.where(spread > 1e-6, spread, 1.0)}
    return Params({name: torch.where(scale["std"] > 0, kept, first[name]) for name, kept in scale.items()})


def standardised(v: Tensor, scale: Params) -> Tensor:
    """As the hypernetwork takes embeddings."""
    return (v - scale["mean"]) / torch.where(scale["std"] > 0, scale["std"], 1.0)


@register_method("pefll", paper="Scott et al. 2024, ICLR, arXiv:2306.05515, algorithms 1 and 2", family="hypernetwork")
class PeFLL(Method):
    """v_i = mean E(x, y; eta) over a batch; theta_i = h(v_i; phi), trained to theta~_i; (phi, eta) descend by Adam.

    The direction is the mean over the cohort of (d theta_i)^T (theta_i - theta~_i), through v_i into eta, whose part
    the client computes: down eta, theta_i and d v_i, up v_i, theta_i - theta~_i and d eta. v_i is standardised, as in
    the official code with figures that stay those of the first batches: here the first cohort's, there one client's. A
    client is embedded by all its samples when its model is used. The embedding's gradient is one of a visit's budget.
    No logits are masked by the client's classes, as that code does by default.
    """

    version = 2
    search_space = {"lr": [2e-4, 1e-3, 3e-3, 1e-2], "inner_lr": [0.1, 0.05, 0.01, 0.005, 0.002]}

    class Config(HypernetworkConfig):
        """The official code's values; five clients per step."""

        lr: PositiveFloat = Field(2e-4, description="Adam's learning rate, of hypernetwork and embedding network")
        inner_lr: PositiveFloat = 2e-3

    def init(self, fed: Federation) -> State:
        """Hypernetwork and embedding network; ``rest`` is what of the client model is not generated."""
        config, shapes = self.config, fed.model.shapes
        size = config.embedding or embedding_size(fed.population)
        made = init_hypernetwork(fed, {"": shapes}, size, config.hidden, config.hidden_layers)
        phi, eta = made.without(["embedding"]), init_embedding_network(fed, size)
        scale = Params(mean=torch.zeros((), device=fed.device), std=torch.zeros((), device=fed.device))
        rest = fed.init_params().without(shapes)
        return State(phi=phi, eta=eta, adam=adam_moments(phi | eta), scale=scale, rest=rest)

    def embeddings(self, fed: Federation, state: State, clients: Tensor, over: Literal["all"] | int = "all") -> Tensor:
        """What these clients send, ``[c, k]``."""
        found = fed.compute(embedded, fed.send(state.eta, clients), clients, over=over, stream="embedding")
        return fed.collect({"v": found["sum"] / found["samples"].unsqueeze(1)})["v"]

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Embed, generate, train, pull the updates back through the hypernetwork and on the clients to eta."""
        steps, shapes, sgd = fed.local_steps - 1, fed.model.shapes, self.config.inner_sgd()
        if not steps:
            raise UnsuitedError("local_steps=1 is too few: one gradient is that of the embedding network")
        v = self.embeddings(fed, state, cohort, over=1)
        state.scale = measured(state.scale, v)
        v = standardised(v, state.scale)
        sent = fed.send_each(generate(state.phi, v, shapes) | stacked(state.rest, len(cohort)))
        trained = fed.train(sent, cohort, sgd, steps=steps).params
        up = fed.collect({name: sent[name] - trained[name] for name in shapes} | trained.only(state.rest))
        slopes = pulled_back(state.phi | {"v": v}, lambda at: generate(at, at["v"], shapes), up.only(shapes))
        slope = fed.send_each({"v": slopes["v"] * len(cohort) / state.scale["std"]})["v"]
        at = stacked(state.eta, len(cohort))
        inner = fed.compute(embedding_gradient, at, cohort, aux=slope, over=1, gradients=True, stream="embedding")
        joint = state.phi | state.eta
        slopes = Params(slopes).only(state.phi) | fed.average(fed.collect(inner), cohort, "uniform")
        adam_step_(joint, clipped(slopes, self.config.clip_norm), state.adam, self.config.lr)
        state.rest = fed.average(up.only(state.rest), cohort, "uniform")
        return state

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The models made of each client's training samples."""
        v = standardised(self.embeddings(fed, state, clients), state.scale)
        return generate(state.phi, v, fed.model.shapes) | stacked(state.rest, len(clients))

    enroll = client_params

    def client_vectors(self, fed: Federation, state: State) -> Tensor:
        """The clients' embeddings."""
        return standardised(self.embeddings(fed, state, fed.everyone), state.scale)
