"""pFedHN-PC: the hypernetwork generates the body; a personal classifier stays on the client."""

from dataclasses import replace
from typing import Any

from pydantic import PositiveFloat
from torch import Tensor

from pfl_bench.api import (
    Apply,
    Batch,
    Federation,
    Gradient,
    Method,
    Params,
    State,
    Tensors,
    cross_entropy,
    register_method,
    stacked,
    zeros_like,
)

from ._hypernetwork import Hypernetwork, embedding_size, generate, init_hypernetwork, prefix
from .pfedhn import PFedHN


@register_method("pfedhn_pc", paper="Shamsian et al. 2021, ICML, arXiv:2103.04628, section 3.3")
class PFedHNPC(Method):
    """As pFedHN for the body. Client i keeps its head and the head's momentum from visit to visit.

    As in the official code the head's gradient is not clipped and the body's is, by its own norm. Where clients
    have different models, the clients of each have a hypernetwork of their own.
    """

    search_space = PFedHN.search_space

    class Config(PFedHN.Config):
        """As pFedHN, but for the official code's larger learning rate."""

        lr: PositiveFloat = 5e-2

    def init(self, fed: Federation) -> State:
        """Hypernetwork for the body on the server; head and head momentum on every client."""
        config = self.config
        body, head = fed.split(fed.init_params())
        shapes = {name: tensor.shape for name, tensor in body.items()}
        size = config.embedding or embedding_size(fed.population)
        phi = init_hypernetwork(fed, {prefix(fed, fed.model): shapes}, size, config.hidden, config.hidden_layers)
        heads = fed.per_client(head)
        return State(phi=phi, momentum=zeros_like(phi), heads=heads, head_momentum=zeros_like(heads))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Generate and send the body, train it with the head, step the hypernetwork, keep head and momentum."""
        shapes = {name: shape for name, shape in fed.model.shapes.items() if name not in state.heads}
        server = Hypernetwork(fed, state.phi, state.momentum, shapes)
        sent = fed.send_each(server.generate(cohort))
        trained = fed.train(
            sent | state.heads.rows(cohort),
            cohort,
            replace(self.config.inner_sgd(), unclipped=frozenset(state.heads)),
            momentum=state.head_momentum.rows(cohort),
        )
        delta = fed.collect({name: sent[name] - trained.params[name] for name in shapes})
        server.learn(cohort, delta, self.config.outer_sgd())
        state.heads.set_rows(cohort, trained.params)
        state.head_momentum.set_rows(cohort, trained.momentum)
        return state

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The generated body under each client's stored head."""
        shapes = {name: shape for name, shape in fed.model.shapes.items() if name not in state.heads}
        body = Hypernetwork(fed, state.phi, state.momentum, shapes).generate(clients)
        return body | state.heads.rows(clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit an embedding and a fresh head per client, each at its own learning rate; phi stays frozen."""
        shapes = {name: shape for name, shape in fed.model.shapes.items() if name not in state.heads}
        faster = self.config.lr / self.config.inner_lr

        def loss(apply: Apply, params: Tensors, batch: Batch, frozen: Any) -> Tensor:
            body = generate(frozen, params["embedding"].unsqueeze(0), shapes)
            head = {name: params[name] for name in params if name != "embedding"}
            return cross_entropy(apply, {**{name: tensor[0] for name, tensor in body.items()}, **head}, batch)

        def rule(
            gradient: Gradient, params: Tensors, batches: tuple[Batch, ...], aux: Any, memory: Any
        ) -> tuple[Tensors, Any]:
            found = gradient(params, batches[0])
            return {**found, "embedding": faster * found["embedding"]}, memory

        head = fed.init_params().only(state.heads)
        start = stacked(head | {"embedding": state.phi["embedding"].mean(0)}, len(clients))
        frozen = stacked(state.phi.without(["embedding"]), len(clients))
        fitted = fed.train(start, clients, self.config.inner_sgd(), loss=loss, aux=frozen, rule=rule).params
        return generate(state.phi, fitted["embedding"], shapes) | fitted.only(head)

    def client_vectors(self, fed: Federation, state: State) -> Tensor:
        """The learned embeddings."""
        embeddings: Tensor = state.phi["embedding"]
        return embeddings
