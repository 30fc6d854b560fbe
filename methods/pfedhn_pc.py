"""pFedHN-PC: the hypernetwork generates the body; a personal classifier stays on the client."""

from collections.abc import Iterable
from typing import Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from pfl_bench.api import (
    Federation,
    Method,
    Params,
    Scaled,
    State,
    register_method,
    stacked,
    zeros_like,
)

from ._hypernetwork import embedding_size, generate, init_hypernetwork, prefix
from ._pfedhn import GeneratedLoss, Hypernetwork
from .pfedhn import PFedHN


def independent(fed: Federation, names: Iterable[str]) -> Params:
    """These parameters as drawn afresh for each training client, ``[clients, ...]``."""
    seeds = fed.generator("heads").integers(2**63, size=fed.clients)
    drawn = [fed.model.init(int(seed), fed.device).only(names) for seed in seeds]
    return Params({name: torch.stack([head[name] for head in drawn]) for name in names})


@register_method("pfedhn_pc", paper="Shamsian et al. 2021, ICML, arXiv:2103.04628, section 3.3", family="hypernetwork")
class PFedHNPC(Method):
    """As pFedHN for the body. Client i keeps its head and the head's momentum from visit to visit.

    As in the official code every client's head starts from weights of its own; its gradient is not clipped and the
    body's is, by its own norm. Where clients have different models, the clients of each have a hypernetwork of their
    own.
    """

    search_space = PFedHN.search_space

    class Config(PFedHN.Config):
        """As pFedHN, but for the official code's larger learning rate."""

        lr: PositiveFloat = 5e-2
        heads: Literal["independent", "equal"] = Field(
            "independent", description="whether the clients' heads start from weights of their own, or from the same"
        )

    def init(self, fed: Federation) -> State:
        """Hypernetwork for the body on the server; head and head momentum on every client; the rest is averaged."""
        config, params = self.config, fed.init_params()
        _, head = fed.split(params)
        shapes = {name: shape for name, shape in fed.model.shapes.items() if name not in head}
        size = config.embedding or embedding_size(fed.population)
        phi = init_hypernetwork(fed, {prefix(fed, fed.model): shapes}, size, config.hidden, config.hidden_layers)
        momentum = fed.per_client(zeros_like(head.only(fed.model.trainable)))
        rest, heads = params.without({*shapes, *head}), fed.per_client(head)
        if config.heads == "independent":
            heads.set_rows(fed.everyone, independent(fed, heads))
        return State(phi=phi, momentum=zeros_like(phi), heads=heads, head_momentum=momentum, rest=rest)

    def server(self, fed: Federation, state: State) -> Hypernetwork:
        """The hypernetwork, which generates the body's trainable parameters."""
        shapes = {name: shape for name, shape in fed.model.shapes.items() if name not in state.heads}
        return Hypernetwork(fed, state.phi, state.momentum, shapes)

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Generate and send the body, train it with the head, step the hypernetwork, keep head and momentum."""
        server = self.server(fed, state)
        sent = fed.send_each(server.generate(cohort) | stacked(state.rest, len(cohort)))
        sgd = self.config.inner_sgd().but(state.heads, clip_norm=None)
        start, momentum = sent | state.heads.rows(cohort), state.head_momentum.rows(cohort)
        trained = fed.train(start, cohort, sgd, momentum=momentum)
        delta = {name: sent[name] - trained.params[name] for name in server.shapes}
        up = fed.collect(delta | trained.params.only(state.rest))
        server.learn(cohort, up.only(server.shapes), self.config.outer_sgd())
        state.rest = fed.average(up.only(state.rest), cohort, "uniform")
        state.heads.set_rows(cohort, trained.params)
        state.head_momentum.set_rows(cohort, trained.momentum)
        return state

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The generated body under each client's stored head."""
        body = self.server(fed, state).generate(clients) | stacked(state.rest, len(clients))
        return body | state.heads.rows(clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit an embedding and a fresh head per client, each at its own learning rate; phi stays frozen."""
        shapes = self.server(fed, state).shapes
        own = fed.init_params().only(state.heads) | state.rest
        start = stacked(own | {"embedding": state.phi["embedding"].mean(0)}, len(clients))
        fitted = fed.train(
            start,
            clients,
            self.config.inner_sgd(),
            loss=GeneratedLoss(tuple(shapes.items())),
            rule=Scaled(frozenset({"embedding"}), self.config.lr / self.config.inner_lr),
            aux=stacked(state.phi.without(["embedding"]), len(clients)),
        ).params
        return generate(state.phi, fitted["embedding"], shapes) | fitted.only(own)

    def client_vectors(self, fed: Federation, state: State) -> Tensor:
        """The learned embeddings."""
        return state.phi["embedding"]
