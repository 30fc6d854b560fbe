"""A small dense client model with batch normalisation, for what depends on it (FedBN) at the price of a dense model."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from pfl_bench.api import InputSpec, register_model


class MlpBn(nn.Module):
    """Normalised inputs, one hidden ReLU layer normalised before it, on the flattened sample.

    Normalising what comes in is what lets a client's own statistics undo a shift of features.
    """

    def __init__(self, input: InputSpec, classes: int, hidden: int) -> None:
        super().__init__()
        self.norm_in = nn.BatchNorm1d(math.prod(input))
        self.hidden = nn.Linear(math.prod(input), hidden, bias=False)
        self.norm = nn.BatchNorm1d(hidden)
        self.head = nn.Linear(hidden, classes)

    def features(self, x: Tensor) -> Tensor:
        """``[B, hidden]`` of samples ``[B, ...]``."""
        return F.relu(self.norm(self.hidden(self.norm_in(x.flatten(1)))))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]``."""
        logits: Tensor = self.head(self.features(x))
        return logits


@register_model(
    "mlp-bn",
    inputs=("image", "table", "series"),
    summary="64 hidden units, BatchNorm before and after the hidden layer (5,002 weights on digits)",
)
def mlp_bn(input: InputSpec, classes: int) -> nn.Module:
    """The client model of the suite ``natural`` where domains differ in their features."""
    return MlpBn(input, classes, hidden=64)
