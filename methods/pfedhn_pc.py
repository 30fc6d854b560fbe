"""pFedHN-PC: the hypernetwork generates the body; a personal classifier stays on the client."""

from pydantic import PositiveFloat
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

from ._hypernetwork import GeneratedLoss, Hypernetwork, embedding_size, generate, init_hypernetwork, prefix
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
        """Hypernetwork for the body on the server; head and head momentum on every client; the rest is averaged."""
        config, params = self.config, fed.init_params()
        _, head = fed.split(params)
        shapes = {name: shape for name, shape in fed.model.shapes.items() if name not in head}
        size = config.embedding or embedding_size(fed.population)
        phi = init_hypernetwork(fed, {prefix(fed, fed.model): shapes}, size, config.hidden, config.hidden_layers)
        momentum = fed.per_client(zeros_like(head.only(fed.model.trainable)))
        rest = params.without({*shapes, *head})
        return State(phi=phi, momentum=zeros_like(phi), heads=fed.per_client(head), head_momentum=momentum, rest=rest)

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
