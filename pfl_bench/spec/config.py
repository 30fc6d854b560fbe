"""What every method's hyper-parameters have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST = 10**9
"""The largest count that a request may name; 64-bit arithmetic with it is safe."""

Count = Annotated[int, Field(gt=0, le=MOST)]


class MethodConfig(BaseModel):
    """Base of a method's hyper-parameters: immutable; unknown fields, NaN and infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    cohort: Count = Field(default=5, description="clients per round; the budget counts client visits, not rounds")
