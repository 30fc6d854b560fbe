"""Per-FedAvg: a server model that is good after one local gradient step (MAML)."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from pfl_bench.api import (
    PLAIN_LEARNING_RATES,
    Batch,
    Federation,
    Gradient,
    GradientRule,
    Method,
    MethodConfig,
    Params,
    Sgd,
    State,
    Tensors,
    register_method,
)


@dataclass(frozen=True)
class MetaGradient(GradientRule):
    """Section 4 of the paper, with independent batches; without ``delta`` the Hessian is dropped."""

    alpha: float
    delta: float | None

    @property
    def draws(self) -> int:
        """D, D' and, for the Hessian, D''."""
        return 2 if self.delta is None else 3

    @property
    def gradients(self) -> int:
        """Inner and outer; and two for the central difference."""
        return 2 if self.delta is None else 4

    def __call__(
        self, gradient: Gradient, params: Tensors, batches: tuple[Batch, ...], aux: Any, carry: Any
    ) -> tuple[Tensors, Any]:
        """The gradient at w~, corrected by the Hessian's product with it."""
        inner = gradient(params, batches[0])
        outer = gradient(_move(params, inner, -self.alpha), batches[1])
        if self.delta is None:
            return outer, carry
        ahead = gradient(_move(params, outer, self.delta), batches[2])
        behind = gradient(_move(params, outer, -self.delta), batches[2])
        return {k: g - self.alpha * (ahead[k] - behind[k]) / (2 * self.delta) for k, g in outer.items()}, carry


def _move(params: Tensors, direction: Tensors, length: float) -> dict[str, Tensor]:
    return {name: params[name] + length * step for name, step in direction.items()}


@register_method("per_fedavg", paper="Fallah et al. 2020, NeurIPS, arXiv:2002.07948, algorithm 1", family="baseline")
class PerFedAvg(Method):
    """w~ = w - alpha grad f(w; D); g = grad f(w~; D'); w <- w - beta (I - alpha hess f(w; D'')) g.

    ``fo`` drops the Hessian; ``hf`` replaces its product with g by a central difference. A meta-step costs 2
    (fo) or 4 (hf) mini-batch gradients of the budget.

    Deviations. Clients adapt on training data, never on test data, as some published code does. ``fo`` is the default,
    because a meta-step of ``hf`` costs twice as much of an equal budget. A local round takes what the budget affords
    instead of a fixed number of meta-steps.
    """

    moment = "adapted"
    search_space = {"beta": PLAIN_LEARNING_RATES, "alpha": [0.5, 0.2, 0.1, 0.05, 0.02, 0.01]}

    class Config(MethodConfig):
        """The paper's names."""

        alpha: NonNegativeFloat = Field(0.01, description="learning rate of the personal step")
        beta: PositiveFloat = Field(1e-3, description="learning rate of the meta-step")
        delta: PositiveFloat = Field(1e-3, description="width of the central difference (hf)")
        variant: Literal["fo", "hf"] = "fo"
        personal_steps: PositiveInt = Field(
            1, description="alpha-steps before an evaluation, within the scenario's allowance; the paper's is one"
        )

    def init(self, fed: Federation) -> State:
        """The server's meta-model."""
        return State(server=fed.init_params())

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Meta-steps on every client of the cohort, then the plain mean of the models."""
        rule = MetaGradient(self.config.alpha, None if self.config.variant == "fo" else self.config.delta)
        sgd = Sgd(self.config.beta)
        state.server = fed.train_and_average(state.server, cohort, sgd, weights="uniform", rule=rule)
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """The meta-model before the personal step."""
        return state.server

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Alpha-steps on batches of the client's training data."""
        steps = min(self.config.personal_steps, fed.local_steps)
        return fed.train(fed.send(state.server, clients), clients, Sgd(self.config.alpha), steps=steps).params

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """As any client."""
        return self.adapt(fed, state, clients)
