"""A scenario: data set + partition + number of clients + client model + budget, with a versioned id."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pfl_bench.errors import RequestError, shown, unknown
from pfl_bench.files import check_name

from .config import MOST, Count
from .fields import read_fields
from .heterogeneity import AvailabilitySpec, ShiftSpec
from .identity import scenario_identity

Precision = Literal["fp32", "bf16"]
"""What a client model computes in; ``precision.arithmetic`` does it."""

Steps = Annotated[int, Field(gt=0, le=100_000)]
"""Mini-batch gradients at a time; their batches are drawn beforehand, and must fit into memory."""


class PartitionSpec(BaseModel):
    """Which rule, with which parameters; or an exported partition (``file``), checked against ``sha256``."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    rule: str | None = Field(default=None, description="which rule; its own parameters stand beside it")
    file: str | None = Field(default=None, description="instead: a partition that was exported, an .npz")
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$", description="the hash that the file must have")

    @model_validator(mode="after")
    def _is_a_rule_or_a_file(self) -> "PartitionSpec":
        if self.rule is None and self.file is None:
            raise ValueError("give a 'rule' or a 'file'")
        if self.rule is not None and self.file is not None:
            raise ValueError("give a 'rule' or a 'file', not both")
        beside = ["sha256"] * (self.sha256 is not None) if self.rule is not None else list(self.parameters)
        if beside:
            raise ValueError(f"{beside[0]!r} has no meaning beside {'a rule' if self.file is None else 'a file'}")
        return self

    @property
    def parameters(self) -> dict[str, Any]:
        """The rule's own parameters."""
        return dict(self.model_extra or {})


class EnrollSpec(BaseModel):
    """How novel clients are served after training: local steps, and labelled samples each (``all``: what it has)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: Steps = Field(default=100, description="mini-batch gradients that a method may take per novel client")
    samples: tuple[Count | Literal["all"], ...] = Field(
        default=("all",), min_length=1, description="how many labelled samples each has, one row of results for each"
    )


class Scenario(BaseModel):
    """One column of a results table. Its budget is counted in client visits x local steps, as far as they were done.

    Heterogeneity is a part of it and composes: any partition rule (with ``quantity``, a law of sizes), any number of
    shifts (``[[scenario.shift]]``), and ``availability``, whose docstring says what an absent client costs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._+@-]*$", description="its name, which ends in its version")
    asks: str = Field(
        default="", max_length=400, description="in words, what it asks of a method; no part of its identity"
    )
    dataset: str = Field(description="a data set by name, with its argument")
    partition: PartitionSpec = Field(description="who holds which samples")
    clients: Count = Field(description="how many there are, the novel ones included")
    novel: int = Field(default=0, ge=0, le=MOST, description="how many of them take no part in training")
    enroll: EnrollSpec | None = Field(default=None, description="how those are served after training")
    model: str | tuple[str, ...] = Field(description="client model; several are dealt to the clients in turn")
    visits: Count = Field(description="client visits: one client trains once")
    local_steps: Steps = Field(description="mini-batch gradients per visit")
    batch_size: Count = Field(description="samples of a mini-batch, all of a client that has fewer")
    batches: Literal["fresh", "epoch"] = Field(
        default="fresh", description="each batch drawn anew, or in turn from a shuffled pass over the client's samples"
    )
    eval_every: Count = Field(description="client visits between evaluations")
    adapt_every: Count | None = Field(default=None, description="as eval_every, for models that adapt first")
    adapt_steps: Steps | None = Field(
        default=None,
        description="mini-batch gradients per client to adapt before an evaluation, equal for all methods; default: "
        "those of one visit",
    )
    precision: Precision = Field(default="fp32", description="what client models compute in; see --precision")
    primary: str = Field(default="accuracy", description="the metric that chooses on validation, and ranks")
    budget_scale: float = Field(
        default=1.0, gt=0, le=MOST, description="share of the full budget that visits is; see --budget-scale"
    )
    shift: tuple[ShiftSpec, ...] = Field(default=(), description="what groups of clients see differently, in order")
    availability: AvailabilitySpec = Field(
        default=AvailabilitySpec(), description="who of those asked takes part, and how much of a visit they do"
    )

    @field_validator("id")
    @classmethod
    def _can_name_a_file(cls, id: str) -> str:
        check_name(id, "the name")
        return id

    @field_validator("primary")
    @classmethod
    def _can_lead(cls, primary: str) -> str:
        from pfl_bench.metrics import leading  # late: it loads NumPy, and most scenarios do not name one

        if primary not in leading():
            raise ValueError(f"{shown(primary)} is no metric that ranks; those are {', '.join(leading())}")
        return primary

    @model_validator(mode="after")
    def _has_models_for_its_clients(self) -> "Scenario":
        if self.novel >= self.clients:
            raise ValueError(f"novel={self.novel}: of {self.clients} clients at least one must train")
        if not 1 <= len(self.models) <= self.clients - self.novel:
            raise ValueError(
                f"model: {len(self.models)} client models for {self.clients - self.novel} training clients"
            )
        return self

    @model_validator(mode="after")
    def _has_steps_to_leave_out(self) -> "Scenario":
        if self.availability.stragglers > 0 and self.local_steps == 1:
            raise ValueError("availability: stragglers have no effect with local_steps=1; they do at least one step")
        return self

    @model_validator(mode="after")
    def _enrolls_somebody(self) -> "Scenario":
        if self.enroll is not None and not self.novel:
            raise ValueError("enroll: there is nobody to enroll; set novel to a number of clients")
        if self.enroll is not None and len(self.models) > 1:
            raise ValueError(f"enroll: novel clients are enrolled with one client model; model has {len(self.models)}")
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
                "id": f"{self.id}@{f'{factor:g}' if float(f'{factor:g}') == factor else repr(factor)}x",
                "visits": visits,
                "budget_scale": self.budget_scale * factor,
            }
        )

    def at_precision(self, precision: Precision) -> "Scenario":
        """The same scenario computed in another precision, and an id that says so."""
        if precision == self.precision:
            return self
        return self.model_copy(update={"id": f"{self.id}+{precision}", "precision": precision})


def without_edition(scenario: str) -> str:
    """A scenario's id without the edition behind it (``@0.1x``, ``+bf16``)."""
    return scenario.partition("@")[0].partition("+")[0]


def at_edition(
    scenarios: Sequence[Scenario], budget_scale: float, precision: str | None, where: str = "budget_scale"
) -> list[Scenario]:
    """The scenarios at a share of their budget and in a precision (None: their own); RequestError where that is none.

    ``where`` is what the error calls the share.
    """
    if not (math.isfinite(budget_scale) and budget_scale > 0):
        raise RequestError(f"{where}: {budget_scale} must be a positive number")
    for scenario in scenarios:
        if scenario.visits * budget_scale > MOST or scenario.budget_scale * budget_scale > MOST:
            raise RequestError(f"{where}: {budget_scale:g} times {scenario.visits} client visits is more than {MOST}")
        if scenario.visits * budget_scale < 0.5:
            raise RequestError(f"{where}: {budget_scale:g} times {scenario.visits} client visits is less than one")
    if precision is None:
        return [scenario.scaled(budget_scale) for scenario in scenarios]
    if precision not in get_args(Precision):
        raise unknown("precision", precision, get_args(Precision))
    computed_in: Precision = "bf16" if precision == "bf16" else "fp32"
    return [scenario.scaled(budget_scale).at_precision(computed_in) for scenario in scenarios]


def read_scenario(table: Any, where: str | Path) -> Scenario:
    """Validate a scenario given as a table; RequestError names the field, the value and what would be right."""
    if not isinstance(table, dict):
        raise RequestError(f"{where}: scenario={shown(table)} must be a table, under the heading [[scenario]]")
    return read_fields(Scenario, table, f"{where}: scenario {shown(table.get('id', '?'))}: ")
