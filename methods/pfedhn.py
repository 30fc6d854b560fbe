"""pFedHN: a hypernetwork on the server generates every client's model."""

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from pfl_bench.api import Federation, Method, MethodConfig, Params, Sgd, State, register_method, zeros_like

from ._hypernetwork import Hypernetwork, embedding_size, generate, init_hypernetwork


@register_method("pfedhn", paper="Shamsian et al. 2021, ICML, arXiv:2103.04628, algorithm 1")
class PFedHN(Method):
    """theta_i = h(v_i; phi); the client trains it to theta~_i; (phi, v_i) descend (d theta_i)^T (theta_i - theta~_i).

    The model is evaluated as generated, without a local step.
    """

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
        config, shapes = self.config, fed.model.shapes
        size = config.embedding or embedding_size(fed.clients)
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
        return generate(state.phi, clients, fed.model.shapes)
