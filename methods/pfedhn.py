"""pFedHN: a hypernetwork on the server generates every client's model."""

from typing import Any

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from pfl_bench.api import (
    Apply,
    Batch,
    Federation,
    Method,
    MethodConfig,
    Params,
    Sgd,
    State,
    Tensors,
    cross_entropy,
    register_method,
    stacked,
    zeros_like,
)

from ._hypernetwork import Hypernetwork, embedding_size, generate, init_hypernetwork, prefix


@register_method("pfedhn", paper="Shamsian et al. 2021, ICML, arXiv:2103.04628, algorithm 1")
class PFedHN(Method):
    """theta_i = h(v_i; phi); the client trains it to theta~_i; (phi, v_i) descend (d theta_i)^T (theta_i - theta~_i).

    The model is evaluated as generated, without a local step. Clients may have different models: the
    hypernetwork generates all of them, and each client is sent its own. A new client fits an embedding only.
    """

    joint = True
    search_space = {"lr": [0.1, 0.05, 0.02, 0.01], "inner_lr": [0.1, 0.05, 0.01, 0.005]}

    class Config(MethodConfig):
        """The official code's defaults; one client per round."""

        cohort: PositiveInt = 1
        lr: PositiveFloat = Field(1e-2, description="learning rate of the hypernetwork and the embeddings")
        momentum: float = Field(0.9, ge=0, lt=1)
        weight_decay: NonNegativeFloat = 1e-3
        inner_lr: PositiveFloat = Field(5e-3, description="learning rate of the client")
        inner_momentum: float = Field(0.9, ge=0, lt=1, description="reset at every visit")
        inner_weight_decay: NonNegativeFloat = 5e-5
        clip_norm: PositiveFloat = Field(50.0, description="largest gradient norm, of client and hypernetwork alike")
        embedding: PositiveInt | None = Field(None, description="embedding size; default int(1 + clients / 4)")
        hidden: PositiveInt = Field(100, description="width of the trunk")
        hidden_layers: NonNegativeInt = Field(3, description="trunk layers after the first")

        def inner_sgd(self) -> Sgd:
            """The client's optimiser spec."""
            return Sgd(self.inner_lr, self.inner_momentum, self.inner_weight_decay, self.clip_norm)

        def outer_sgd(self) -> Sgd:
            """The hypernetwork's optimiser spec."""
            return Sgd(self.lr, self.momentum, self.weight_decay, self.clip_norm)

    def init(self, fed: Federation) -> State:
        """Hypernetwork, embeddings and their momentum, all on the server."""
        config = self.config
        shapes = {prefix(fed, model): model.shapes for model in fed.models}
        size = config.embedding or embedding_size(fed.population)
        phi = init_hypernetwork(fed, shapes, size, config.hidden, config.hidden_layers)
        return State(phi=phi, momentum=zeros_like(phi))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Generate, send, train, collect the update, and step the hypernetwork by its vector-Jacobian product."""
        shapes = fed.model.shapes
        server = Hypernetwork(fed, state.phi, state.momentum, shapes)
        sent = fed.send_each(server.generate(cohort))
        trained = fed.train(sent, cohort, self.config.inner_sgd()).params
        delta = fed.collect({name: sent[name] - theta for name, theta in trained.items()})
        server.learn(cohort, delta, self.config.outer_sgd())
        return state

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The generated models."""
        return Hypernetwork(fed, state.phi, state.momentum, fed.model.shapes).generate(clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit an embedding per client, from the mean of the trained ones, with the hypernetwork frozen."""
        phi, shapes = state.phi, fed.model.shapes

        def loss(apply: Apply, params: Tensors, batch: Batch, frozen: Any) -> Tensor:
            generated = generate(frozen, params["embedding"].unsqueeze(0), shapes)
            return cross_entropy(apply, {name: tensor[0] for name, tensor in generated.items()}, batch)

        start = stacked({"embedding": phi["embedding"].mean(0)}, len(clients))
        frozen = stacked(phi.without(["embedding"]), len(clients))
        fitted = fed.train(start, clients, self.config.outer_sgd(), loss=loss, aux=frozen).params
        return generate(phi, fitted["embedding"], shapes)

    def client_vectors(self, fed: Federation, state: State) -> Tensor:
        """The learned embeddings."""
        embeddings: Tensor = state.phi["embedding"]
        return embeddings
