"""The client network of the pFedHN paper: two 5x5 convolutions and three linear layers, no padding, no BatchNorm."""

import torch.nn.functional as F
from torch import Tensor, nn

from pfl_bench.api import InputSpec, register_model


class LeNet(nn.Module):
    """conv(k) - pool - conv(2k) - pool - 120 - 84 - classes, with ReLU throughout.

    ReLU comes after pooling, where it works on a quarter of the values: max(relu(x)) = relu(max(x)).
    """

    def __init__(self, input: InputSpec, classes: int, kernels: int) -> None:
        super().__init__()
        channels, height, width = input
        sides = [((side - 4) // 2 - 4) // 2 for side in (height, width)]
        if min(sides) < 1:
            raise ValueError(f"images of {height}x{width} pixels are too small; 16x16 is the least")
        self.conv1 = nn.Conv2d(channels, kernels, 5)
        self.conv2 = nn.Conv2d(kernels, 2 * kernels, 5)
        self.fc1 = nn.Linear(2 * kernels * sides[0] * sides[1], 120)
        self.fc2 = nn.Linear(120, 84)
        self.head = nn.Linear(84, classes)

    def features(self, x: Tensor) -> Tensor:
        """``[B, 84]`` of images ``[B, C, H, W]``."""
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        return F.relu(self.fc2(F.relu(self.fc1(x.flatten(1)))))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]``."""
        logits: Tensor = self.head(self.features(x))
        return logits


@register_model(
    "lenet",
    inputs=("image",),
    summary="LeNet with 16 and 32 kernels (pFedHN, CIFAR: 121,182 weights for 10 classes)",
)
def lenet(input: InputSpec, classes: int) -> nn.Module:
    """The paper's CIFAR network; on one channel its grey variant."""
    return LeNet(input, classes, kernels=16)


@register_model(
    "lenet8",
    inputs=("image",),
    summary="LeNet with 8 and 16 kernels (small client of the compute-budget experiment)",
)
def lenet8(input: InputSpec, classes: int) -> nn.Module:
    """Half as many kernels as the paper's CIFAR network."""
    return LeNet(input, classes, kernels=8)


@register_model(
    "lenet32",
    inputs=("image",),
    summary="LeNet with 32 and 64 kernels (large client of the compute-budget experiment)",
)
def lenet32(input: InputSpec, classes: int) -> nn.Module:
    """Twice as many kernels as the paper's CIFAR network."""
    return LeNet(input, classes, kernels=32)


@register_model(
    "lenet7",
    inputs=("image",),
    summary="LeNet with 7 and 14 kernels (pFedHN, MNIST)",
)
def lenet7(input: InputSpec, classes: int) -> nn.Module:
    """The paper's MNIST network."""
    return LeNet(input, classes, kernels=7)
