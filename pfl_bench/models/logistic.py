"""Multinomial logistic regression."""

import math

from torch import Tensor, nn

from pfl_bench.api import InputSpec, register_model


class Logistic(nn.Module):
    """One linear layer on the flattened sample: all of it is the head, and nothing the body."""

    def __init__(self, input: InputSpec, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(math.prod(input), classes)

    def features(self, x: Tensor) -> Tensor:
        """The sample itself, ``[B, d]``."""
        return x.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]``."""
        logits: Tensor = self.head(self.features(x))
        return logits


@register_model(
    "logistic", inputs=("image", "table", "series"), summary="logistic regression (28x28 and 10 classes: 7,850 weights)"
)
def logistic(input: InputSpec, classes: int) -> nn.Module:
    """A convex client model."""
    return Logistic(input, classes)
