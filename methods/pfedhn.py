"""pFedHN: a hypernetwork on the server generates every client's model."""

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from pfl_bench.api import (
    Federation,
    Method,
    Params,
    Sgd,
    State,
    register_method,
    stacked,
    zeros_like,
)

from ._hypernetwork import HypernetworkConfig, embedding_size, generate, init_hypernetwork, prefix
from ._pfedhn import GeneratedLoss, Hypernetwork


@register_method("pfedhn", paper="Shamsian et al. 2021, ICML, arXiv:2103.04628, algorithm 1", family="hypernetwork")
class PFedHN(Method):
    """theta_i = h(v_i; phi); the client trains it to theta~_i; (phi, v_i) descend (d theta_i)^T (theta_i - theta~_i).

    The model is evaluated as generated, without a local step. Clients may have different models: the
    hypernetwork generates all of them, and each client is sent its own. A new client fits an embedding only.
    """

    joint = True
    search_space = {"lr": [0.1, 0.05, 0.02, 0.01], "inner_lr": [0.1, 0.05, 0.01, 0.005]}

    class Config(HypernetworkConfig):
        """The official code's defaults; one client per round."""

        cohort: PositiveInt = 1
        lr: PositiveFloat = Field(1e-2, description="learning rate of the hypernetwork and the embeddings")
        momentum: float = Field(0.9, ge=0, lt=1)
        weight_decay: NonNegativeFloat = 1e-3

        def outer_sgd(self) -> Sgd:
            """The hypernetwork's optimiser spec."""
            return Sgd(self.lr, self.momentum, self.weight_decay, self.clip_norm)

    def init(self, fed: Federation) -> State:
        """Hypernetwork, embeddings and their momentum, all on the server; ``rest`` is what is not generated.

        Frozen parameters and buffers are shared and averaged. Few client models have any.
        """
        config = self.config
        shapes = {prefix(fed, model): model.shapes for model in fed.models}
        size = config.embedding or embedding_size(fed.population)
        phi = init_hypernetwork(fed, shapes, size, config.hidden, config.hidden_layers)
        rest = {model.name: fed.init_params(model).without(model.shapes) for model in fed.models}
        return State(phi=phi, momentum=zeros_like(phi), rest=rest)

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Generate, send, train, collect the update, and step the hypernetwork by its vector-Jacobian product."""
        shapes, rest = fed.model.shapes, state.rest[fed.model.name]
        server = Hypernetwork(fed, state.phi, state.momentum, shapes)
        sent = fed.send_each(server.generate(cohort) | stacked(rest, len(cohort)))
        trained = fed.train(sent, cohort, self.config.inner_sgd()).params
        up = fed.collect({name: sent[name] - trained[name] for name in shapes} | trained.only(rest))
        server.learn(cohort, up.only(shapes), self.config.outer_sgd())
        state.rest[fed.model.name] = fed.average(up.only(rest), cohort, "uniform")
        return state

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The generated models."""
        generated = Hypernetwork(fed, state.phi, state.momentum, fed.model.shapes).generate(clients)
        return generated | stacked(state.rest[fed.model.name], len(clients))

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit an embedding per client, from the mean of the trained ones, with the hypernetwork frozen."""
        phi, rest = state.phi, stacked(state.rest[fed.model.name], len(clients))
        start = stacked({"embedding": phi["embedding"].mean(0)}, len(clients)) | rest
        frozen = stacked(phi.without(["embedding"]), len(clients))
        loss = GeneratedLoss(tuple(fed.model.shapes.items()))
        fitted = fed.train(start, clients, self.config.outer_sgd(), loss=loss, aux=frozen).params
        return generate(phi, fitted["embedding"], fed.model.shapes) | fitted.only(rest)

    def client_vectors(self, fed: Federation, state: State) -> Tensor:
        """The learned embeddings."""
        return state.phi["embedding"]
