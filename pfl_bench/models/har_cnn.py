"""One-dimensional convolutions for windows of sensors, as PFLlib has them for human activities."""

import torch.nn.functional as F
from torch import Tensor, nn

from pfl_bench.api import InputSpec, register_model

KERNEL, LEAST = 9, 28


class HarCnn(nn.Module):
    """conv(32) - pool - conv(64) - pool - 1024 - 512 - classes over time, kernels of nine steps, with ReLU throughout.

    ReLU comes after pooling, where it works on half of the values: max(relu(x)) = relu(max(x)).
    """

    def __init__(self, input: InputSpec, classes: int) -> None:
        super().__init__()
        channels, time = input
        if time < LEAST:
            raise ValueError(f"series of {time} steps are too short; {LEAST} is the least")
        self.conv1 = nn.Conv1d(channels, 32, KERNEL)
        self.conv2 = nn.Conv1d(32, 64, KERNEL)
        self.fc1 = nn.Linear(64 * (((time - KERNEL + 1) // 2 - KERNEL + 1) // 2), 1024)
        self.fc2 = nn.Linear(1024, 512)
        self.head = nn.Linear(512, classes)

    def features(self, x: Tensor) -> Tensor:
        """``[B, 512]`` of series ``[B, C, T]``."""
        x = F.relu(F.max_pool1d(self.conv1(x), 2))
        x = F.relu(F.max_pool1d(self.conv2(x), 2))
        return F.relu(self.fc2(F.relu(self.fc1(x.flatten(1)))))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]``."""
        logits: Tensor = self.head(self.features(x))
        return logits


@register_model(
    "har-cnn",
    inputs=("series",),
    summary="two convolutions over time, 1024, 512, head (UCI HAR, 9 x 128, 6 classes: 2,253,958 weights)",
)
def har_cnn(input: InputSpec, classes: int) -> nn.Module:
    """PFLlib's ``HARCNN``."""
    return HarCnn(input, classes)
