"""A client model of your own: a body that makes features, and a child called head."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from pfl_bench.api import InputSpec, register_model


class Gated(nn.Module):
    """Two linear layers on the flattened sample, one of which gates the other."""

    def __init__(self, width: int, inputs: int, classes: int) -> None:
        super().__init__()
        self.value, self.gate = nn.Linear(inputs, width), nn.Linear(inputs, width)
        self.head = nn.Linear(width, classes)  # methods with personal heads look for this name

    def features(self, x: Tensor) -> Tensor:
        """``[B, width]``: what the head gets; all but the head is the body."""
        x = x.flatten(1)
        return F.relu(self.value(x)) * self.gate(x).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]``."""
        logits: Tensor = self.head(self.features(x))
        return logits


@register_model("gated", inputs=("image", "table", "series"), summary="a gated layer of 32")
def gated(input: InputSpec, classes: int) -> nn.Module:
    """The model for samples of this shape."""
    return Gated(32, math.prod(input), classes)
