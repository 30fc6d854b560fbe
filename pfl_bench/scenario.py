"""A scenario: data set + partition + number of clients + client model + budget, with a versioned id."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError

from .errors import RequestError, first_problem


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


class Scenario(BaseModel):
    """One column of a results table. Its budget is counted in client visits x local steps."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._+@-]*$")
    dataset: str
    partition: PartitionSpec
    clients: PositiveInt
    novel: NonNegativeInt = 0
    model: str
    visits: PositiveInt = Field(description="client visits: one client trains once")
    local_steps: PositiveInt = Field(description="mini-batch gradients per visit")
    batch_size: PositiveInt
    batches: Literal["fresh", "epoch"] = "fresh"
    eval_every: PositiveInt = Field(description="client visits between evaluations")
    adapt_every: PositiveInt | None = Field(default=None, description="as eval_every, for models that adapt first")
    precision: Literal["fp32", "bf16"] = "fp32"
    budget_scale: PositiveFloat = 1.0

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

    def at_precision(self, precision: Literal["fp32", "bf16"]) -> "Scenario":
        """The same scenario computed in another precision, and an id that says so."""
        if precision == self.precision:
            return self
        return self.model_copy(update={"id": f"{self.id}+{precision}", "precision": precision})


def read_scenario(table: dict[str, Any], where: str | Path) -> Scenario:
    """Validate a scenario given as a table; RequestError names the field, the value and what would be right."""
    try:
        return Scenario(**table)
    except ValidationError as error:
        raise RequestError(f"{where}: scenario {table.get('id', '?')!r}: {first_problem(error)}") from error
