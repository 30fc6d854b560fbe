"""What of a scenario sets clients apart besides the split: shifts of what they see, and when they are there."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .config import MOST, Count


class ShiftSpec(BaseModel):
    """A transformation of the clients' samples or labels by group: which rule, with which parameters, for which groups.

    ``groups``: so many groups of equally many clients, dealt at random; or ``natural``, the source's own group that a
    client has most training samples of. Novel clients are dealt among themselves. Shifts with the same ``groups`` and
    ``deal`` have the same clients in each group; with another ``deal`` they are dealt anew, so that
    groups cross.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    rule: str = Field(description="which shift")
    groups: Count | Literal["natural"] = Field(
        default=2, description="into how many groups the clients are dealt, or natural: the source's own"
    )
    deal: int = Field(
        default=0, ge=0, le=MOST, description="which of the deals: shifts with another one have groups that cross"
    )

    @property
    def parameters(self) -> dict[str, Any]:
        """The rule's own parameters."""
        return dict(self.model_extra or {})


class AvailabilitySpec(BaseModel):
    """Who of those that a round asks takes part, and how much of a visit they do.

    A client that is asked is there with a probability of its own: its mean over clients is ``present``, and it varies
    by ``spread``: 0, all have the same; towards 1, some are always there and others never (Beta-distributed with
    variance ``spread * present * (1 - present)``, drawn once per client). In each visit a client is a straggler with
    probability ``stragglers``; then it does a share of every request's local steps, drawn between ``least_work`` and
    1, at least one step. All of it is drawn per client and round from streams of their own, equal for all methods.

    What it costs: the budget counts what was done. A client that is not there costs no visit, so that a run has
    more, and smaller, rounds; a straggler's visit is a visit, of which the steps that it did are counted. What was
    asked is counted beside it (``asked_visits``, ``asked_steps``). It holds for rounds only: what ``init`` trains, and
    every evaluation and enrolment, is of everybody and whole.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    present: float = Field(
        default=1.0, ge=0.01, le=1, description="probability that a client that is asked is there, mean over clients"
    )
    spread: float = Field(
        default=0.0, ge=0, le=0.99, description="how much that probability varies over clients: 0, not at all"
    )
    stragglers: float = Field(
        default=0.0, ge=0, le=1, description="probability that a client does a part of a visit's local steps only"
    )
    least_work: float = Field(default=0.1, gt=0, le=1, description="the least share of its steps that a straggler does")

    @model_validator(mode="after")
    def _has_an_effect(self) -> "AvailabilitySpec":
        if self.spread > 0 and self.present == 1:
            raise ValueError(f"spread={self.spread} has no effect where all are there; set present below 1")
        if self.stragglers == 0 and self.least_work != type(self).model_fields["least_work"].default:
            raise ValueError(f"least_work={self.least_work} has no effect without stragglers; set their probability")
        if self.stragglers > 0 and self.least_work == 1:
            raise ValueError("least_work=1 is all of a visit, and leaves no straggler; set it below 1")
        return self
