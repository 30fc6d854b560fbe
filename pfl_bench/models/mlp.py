"""Small dense client models."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from pfl_bench.api import InputSpec, register_model


class Mlp(nn.Module):
    """One hidden ReLU layer on the flattened sample."""

    def __init__(self, input: InputSpec, classes: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(math.prod(input), hidden)
        self.head = nn.Linear(hidden, classes)

    def features(self, x: Tensor) -> Tensor:
        """``[B, hidden]`` of samples ``[B, ...]``."""
        return F.relu(self.hidden(x.flatten(1)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]``."""
        logits: Tensor = self.head(self.features(x))
        return logits


@register_model("mlp", inputs=("image", "table", "series"), summary="64 hidden units")
def mlp(input: InputSpec, classes: int) -> nn.Module:
    """The client model of the suite ``quick``."""
    return Mlp(input, classes, hidden=64)
