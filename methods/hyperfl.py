"""HyperFL: every client has the hypernetwork, which makes its body of a private embedding; only it is shared."""

from dataclasses import dataclass

from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Batch,
    Federation,
    LocalSgdConfig,
    Method,
    Net,
    Params,
    Sgd,
    State,
    Tensors,
    UnsuitedError,
    cross_entropy,
    register_method,
    stacked,
)

from ._hypernetwork import Shapes, heads, init_hypernetwork, trunk


def body(weights: Tensors, embeddings: Tensor, shapes: Shapes) -> Params:
    """theta = h(v; phi), ``[c, k]`` to ``[c, ...]``; unlike pFedHN's trunk this one ends in a ReLU."""
    return heads(weights, trunk(weights, embeddings).relu(), shapes)


@dataclass(frozen=True)
class OnClient:
    """Cross-entropy as a function of phi, v and what of the client model is not generated, for one client."""

    shapes: tuple[tuple[str, tuple[int, ...]], ...]

    def __call__(self, net: Net, params: Tensors, batch: Batch, aux: None) -> Tensor:
        """The loss of one client."""
        made = body(params, params["embedding"].unsqueeze(0), dict(self.shapes)).map(lambda tensor: tensor[0])
        return cross_entropy(net, made | {n: t for n, t in params.items() if n in net.model.names}, batch)


@register_method("hyperfl", paper="Guo et al. 2025, AAAI, arXiv:2412.07187, equations 4 to 6", family="hypernetwork")
class HyperFL(Method):
    """head_i <- SGD under theta_i = h(v_i; phi); (phi_i, v_i) <- SGD on F_i(h(v_i; phi_i), head_i); phi is averaged.

    phi, all that travels, is some hundred times the body: it hides gradients, it saves nothing. As in the authors' code
    all embeddings and heads start alike, and the head has one epoch of six. Deviation: evaluated under the received
    phi; that code evaluates bodies left over from before it arrived, and after local training.
    """

    search_space = {"lr": LEARNING_RATES, "head_lr": [0.3, 0.1, 0.03, 0.01]}

    class Config(LocalSgdConfig):
        """The authors' values; ``lr`` is for phi and v_i, whose gradients are clipped, by a norm of its own each."""

        lr: PositiveFloat = Field(0.02, description="learning rate of hypernetwork and embedding")
        head_lr: PositiveFloat = Field(0.1, description="learning rate of the head, whose gradient is not clipped")
        momentum: float = Field(0.5, ge=0, lt=1, description="local momentum, reset at every visit")
        weight_decay: float = Field(5e-4, ge=0)
        head_share: float = Field(1 / 6, gt=0, lt=1, description="share of a visit's steps for the head")
        embedding: PositiveInt = Field(64, description="size of v_i")
        hidden: PositiveInt = Field(128, description="width of the hypernetwork's hidden layer")

        def sgd_but(self, head: frozenset[str]) -> Sgd:
            """The optimiser spec, with the head's figures for the head."""
            return self.sgd().but(head, lr=self.head_lr, clip_norm=None)

    def init(self, fed: Federation) -> State:
        """phi; on every client an embedding and a head; ``rest``, frozen parameters and buffers, is averaged."""
        params, head = fed.init_params(), fed.model.head
        shapes = self.shapes(fed)
        if not shapes:
            raise UnsuitedError(f"client model {fed.model.name!r} has no body, which is what is generated")
        phi = init_hypernetwork(fed, {"": shapes}, self.config.embedding, self.config.hidden, 0)
        own = fed.per_client(params.only(head) | {"embedding": phi["embedding"][0]})
        return State(phi=phi.without(["embedding"]), own=own, rest=params.without({*shapes, *head}))

    def shapes(self, fed: Federation) -> Shapes:
        """Of what is generated: the body's trainable parameters."""
        return {name: shape for name, shape in fed.model.shapes.items() if name not in fed.model.head}

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Head steps, then steps of phi and v_i; phi is averaged by sample counts."""
        head_steps = max(1, round(self.config.head_share * fed.local_steps))
        if head_steps >= fed.local_steps:
            raise UnsuitedError(f"local_steps={fed.local_steps} cannot be divided between head and hypernetwork")
        own, sent = state.own.rows(cohort), fed.send(state.phi | state.rest, cohort)
        fitted = self.with_own_head(fed, self.made(fed, state, own), cohort, head_steps).only(fed.model.head)
        moving = frozenset({*state.phi, "embedding"})
        trained = self.train(fed, sent | own | fitted, cohort, moving, fed.local_steps - head_steps)
        shared = fed.average(fed.collect(trained.only(sent)), cohort)
        state.phi, state.rest = shared.only(state.phi), shared.only(state.rest)
        state.own.set_rows(cohort, trained)
        return state

    def train(
        self, fed: Federation, start: Params, clients: Tensor, moving: frozenset[str], steps: int | None = None
    ) -> Params:
        """Descend through the hypernetwork."""
        loss, sgd = OnClient(tuple(self.shapes(fed).items())), self.config.sgd_but(fed.model.head).but({"embedding"})
        return fed.train(start, clients, sgd, steps=steps, loss=loss, trainable=moving).params

    def with_own_head(self, fed: Federation, start: Params, clients: Tensor, steps: int | None = None) -> Params:
        """Train the heads of client models."""
        head = fed.model.head
        return fed.train(start, clients, self.config.sgd_but(head), steps=steps, trainable=head, stream="head").params

    def made(self, fed: Federation, state: State, own: Params) -> Params:
        """The client models: generated bodies under the clients' heads."""
        rest = stacked(state.rest, len(own["embedding"]))
        return body(state.phi, own["embedding"], self.shapes(fed)) | rest | own.only(fed.model.head)

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The client models under the received phi."""
        return self.made(fed, state, state.own.rows(clients))

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The same after head steps, with which a visit begins."""
        return self.with_own_head(fed, self.client_params(fed, state, clients), clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit an embedding and a head, with phi frozen."""
        own = stacked(state.own.default, len(clients))
        start = fed.send(state.phi | state.rest, clients) | own
        return self.made(fed, state, self.train(fed, start, clients, frozenset(own)).only(own))
