"""Small dense client models."""

import torch.nn.functional as F
from torch import Tensor, nn

from pfl_bench.api import InputShape, register_model


class Mlp(nn.Module):
    """One hidden ReLU layer on the flattened image."""

    def __init__(self, input_shape: InputShape, classes: int, hidden: int) -> None:
        super().__init__()
        channels, height, width = input_shape
        self.hidden = nn.Linear(channels * height * width, hidden)
        self.head = nn.Linear(hidden, classes)

    def features(self, x: Tensor) -> Tensor:
        """``[B, hidden]`` of images ``[B, C, H, W]``."""
        return F.relu(self.hidden(x.flatten(1)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]``."""
        logits: Tensor = self.head(self.features(x))
        return logits


@register_model("mlp", summary="64 hidden units")
def mlp(input_shape: InputShape, classes: int) -> nn.Module:
    """The client model of the suite ``quick``."""
    return Mlp(input_shape, classes, hidden=64)
