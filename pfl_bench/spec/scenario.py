"""A scenario: data set + partition + number of clients + client model + budget, with a versioned id."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from pfl_bench.errors import RequestError, first_problem, unknown

from .identity import scenario_identity

Precision = Literal["fp32", "bf16"]
"""What a client model computes in; ``precision.arithmetic`` does it."""


class PartitionSpec(BaseModel):
    """Which rule, with which parameters; or an exported partition (``file``), checked against ``sha256``."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    rule: str | None = None
    file: str | None = None
    sha256: str | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The rule's own parameters."""
        return dict(self.model_extra or {})


class EnrollSpec(BaseModel):
    """How novel clients are served after training: local steps, and labelled samples each (``all``: what it has)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: PositiveInt = 100
    samples: tuple[PositiveInt | Literal["all"], ...] = ("all",)


class Scenario(BaseModel):
    """One column of a results table. Its budget is counted in client visits x local steps."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._+@-]*$")
    dataset: str
    partition: PartitionSpec
    clients: PositiveInt
    novel: NonNegativeInt = 0
    enroll: EnrollSpec | None = None
    model: str | tuple[str, ...] = Field(description="client model; several are dealt to the clients in turn")
    visits: PositiveInt = Field(description="client visits: one client trains once")
    local_steps: PositiveInt = Field(description="mini-batch gradients per visit")
    batch_size: PositiveInt
    batches: Literal["fresh", "epoch"] = "fresh"
    eval_every: PositiveInt = Field(description="client visits between evaluations")
    adapt_every: PositiveInt | None = Field(default=None, description="as eval_every, for models that adapt first")
    adapt_steps: PositiveInt | None = Field(
        default=None,
        description="mini-batch gradients per client to adapt before an evaluation, equal for all methods; default: "
        "those of one visit",
    )
    precision: Precision = "fp32"
    budget_scale: PositiveFloat = 1.0

    @model_validator(mode="after")
    def _has_models_for_its_clients(self) -> "Scenario":
        if not 1 <= len(self.models) <= self.clients - self.novel:
            raise ValueError(
                f"model: {len(self.models)} client models for {self.clients - self.novel} training clients"
            )
        return self

    @model_validator(mode="after")
    def _enrolls_somebody(self) -> "Scenario":
        if self.enroll is not None and not self.novel:
            raise ValueError("enroll: there is nobody to enroll; set novel to a number of clients")
        return self

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the client models; client i has the one at i modulo their number."""
        return (self.model,) if isinstance(self.model, str) else self.model

    @property
    def adapt_allowance(self) -> int:
        """How many mini-batch gradients a client may spend to adapt before an evaluation, whatever the method."""
        return self.local_steps if self.adapt_steps is None else self.adapt_steps

    def identity(self) -> dict[str, Any]:
        """What identifies the scenario (``spec.identity``)."""
        return scenario_identity(self, self.adapt_allowance)

    def scaled(self, factor: float) -> "Scenario":
        """The same scenario with ``factor`` times the visits, and an id that says so."""
        if factor == 1.0:
            return self
        visits = max(1, round(self.visits * factor))
        return self.model_copy(
            update={
                "id": f"{self.id}@{factor:g}x",
                "visits": visits,
                "budget_scale": self.budget_scale * factor,
            }
        )

    def at_precision(self, precision: Precision) -> "Scenario":
        """The same scenario computed in another precision, and an id that says so."""
        if precision == self.precision:
            return self
        return self.model_copy(update={"id": f"{self.id}+{precision}", "precision": precision})


def at_edition(scenarios: Sequence[Scenario], budget_scale: float, precision: str) -> list[Scenario]:
    """The scenarios at a share of their budget and in a precision, as typed; RequestError where that is none."""
    if not (math.isfinite(budget_scale) and budget_scale > 0):
        raise RequestError(f"--budget-scale: {budget_scale} must be a positive number")
    if precision not in get_args(Precision):
        raise unknown("precision", precision, get_args(Precision))
    computed_in: Precision = "bf16" if precision == "bf16" else "fp32"
    return [scenario.scaled(budget_scale).at_precision(computed_in) for scenario in scenarios]


def read_scenario(table: dict[str, Any], where: str | Path) -> Scenario:
    """Validate a scenario given as a table; RequestError names the field, the value and what would be right."""
    try:
        return Scenario(**table)
    except ValidationError as error:
        raise RequestError(f"{where}: scenario {table.get('id', '?')!r}: {first_problem(error)}") from error
