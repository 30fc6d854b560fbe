"""Per-FedAvg: a server model that is good after one local gradient step (MAML)."""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Batch,
    Federation,
    Gradient,
    Method,
    MethodConfig,
    Params,
    Sgd,
    State,
    Tensors,
    register_method,
)


@register_method("per_fedavg", paper="Fallah et al. 2020, NeurIPS, arXiv:2002.07948, algorithm 1")
class PerFedAvg(Method):
    """w~ = w - alpha grad f(w; D); g = grad f(w~; D'); w <- w - beta (I - alpha hess f(w; D'')) g.

    ``fo`` drops the Hessian; ``hf`` replaces its product with g by a central difference. A meta-step costs 2
    (fo) or 4 (hf) mini-batch gradients of the budget. Clients adapt on training data, never on test data.
    """

    moment = "adapted"
    search_space = {"beta": LEARNING_RATES, "alpha": [0.1, 0.05, 0.01, 0.005]}

    class Config(MethodConfig):
        """The paper's names."""

        alpha: NonNegativeFloat = Field(0.01, description="learning rate of the personal step")
        beta: PositiveFloat = Field(1e-3, description="learning rate of the meta-step")
        delta: PositiveFloat = Field(1e-3, description="width of the central difference (hf)")
        variant: Literal["fo", "hf"] = "fo"

    def meta_gradient(
        self, gradient: Gradient, params: Tensors, batches: tuple[Batch, ...], aux: Any, memory: Any
    ) -> tuple[Tensors, Any]:
        """Section 4 of the paper, with three independent batches per meta-step."""
        alpha, delta = self.config.alpha, self.config.delta
        inner = gradient(params, batches[0])
        outer = gradient(_move(params, inner, -alpha), batches[1])
        if self.config.variant == "fo":
            return outer, memory
        ahead = gradient(_move(params, outer, delta), batches[2])
        behind = gradient(_move(params, outer, -delta), batches[2])
        curved = {k: g - alpha * (ahead[k] - behind[k]) / (2 * delta) for k, g in outer.items()}
        return curved, memory

    def init(self, fed: Federation) -> State:
        """The server's meta-model."""
        return State(server=fed.init_params())

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Meta-steps on every client of the cohort, then the plain mean of the models."""
        first_order = self.config.variant == "fo"
        state.server = fed.train_and_average(
            state.server,
            cohort,
            Sgd(self.config.beta),
            weights="uniform",
            rule=self.meta_gradient,
            draws=2 if first_order else 3,
            gradients_per_step=2 if first_order else 4,
        )
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """The meta-model before the personal step."""
        server: Params = state.server
        return server

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """One alpha-step on a batch of the client's training data."""
        return fed.train(fed.send(state.server, clients), clients, Sgd(self.config.alpha), steps=1).params

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """As any client: one alpha-step."""
        return self.adapt(fed, state, clients)


def _move(params: Tensors, direction: Tensors, length: float) -> dict[str, Tensor]:
    return {name: params[name] + length * step for name, step in direction.items()}
