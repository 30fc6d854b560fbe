"""What every method's hyper-parameters have in common."""

from pydantic import BaseModel, ConfigDict, Field, PositiveInt


class MethodConfig(BaseModel):
    """Base of a method's hyper-parameters: immutable; unknown fields, NaN and infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    cohort: PositiveInt = Field(5, description="clients per round; the budget counts client visits, not rounds")
