"""The four-layer network of McMahan et al. 2017 in the form that PFLlib and most papers on personalisation use."""

import torch.nn.functional as F
from torch import Tensor, nn

from pfl_bench.api import InputSpec, register_model


class Cnn(nn.Module):
    """5x5 conv(32) - pool - 5x5 conv(64) - pool - 512 - classes, without padding, with ReLU throughout.

    ReLU comes after pooling, where it works on a quarter of the values: max(relu(x)) = relu(max(x)).
    """

    def __init__(self, input: InputSpec, classes: int) -> None:
        super().__init__()
        channels, height, width = input
        sides = [((side - 4) // 2 - 4) // 2 for side in (height, width)]
        if min(sides) < 1:
            raise ValueError(f"images of {height}x{width} pixels are too small; 16x16 is the least")
        self.conv1 = nn.Conv2d(channels, 32, 5)
        self.conv2 = nn.Conv2d(32, 64, 5)
        self.fc = nn.Linear(64 * sides[0] * sides[1], 512)
        self.head = nn.Linear(512, classes)

    def features(self, x: Tensor) -> Tensor:
        """``[B, 512]`` of images ``[B, C, H, W]``."""
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        return F.relu(self.fc(x.flatten(1)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]``."""
        logits: Tensor = self.head(self.features(x))
        return logits


@register_model(
    "cnn", inputs=("image",), summary="four layers: 5x5 conv 32 and 64, 512, head (CIFAR-10: 878,538 weights)"
)
def cnn(input: InputSpec, classes: int) -> nn.Module:
    """PFLlib's ``FedAvgCNN``."""
    return Cnn(input, classes)
