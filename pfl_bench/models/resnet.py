"""Residual networks for small images (He et al. 2016): a 3x3 stem without pooling, basic blocks, and a chosen norm.

GroupNorm has two groups per layer, as in the federated literature (Hsieh et al. 2020, ICML; Reddi et al. 2021, ICLR):
it has no running figures, and a client's batches do not depend on what others hold.
"""

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from pfl_bench.api import InputSpec, register_model

Norm = Callable[[int], nn.Module]

GROUPS = 2


def group_norm(channels: int) -> nn.Module:
    """GroupNorm with ``GROUPS`` groups."""
    return nn.GroupNorm(GROUPS, channels)


class Block(nn.Module):
    """relu(x + norm(conv(relu(norm(conv(x)))))); a projection on the way where width or side change."""

    def __init__(self, before: int, width: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
        self.norm1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = norm(width)
        self.projection = nn.Sequential()
        if stride != 1 or before != width:
            self.projection = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), norm(width))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, width, H / stride, W / stride]`` of ``[B, before, H, W]``."""
        inner = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(inner)) + self.projection(x))


class ResNet(nn.Module):
    """A stem, one stage of ``blocks`` blocks per width, each after the first at half the side, and a linear head."""

    def __init__(self, input: InputSpec, classes: int, widths: Sequence[int], blocks: int, norm: Norm) -> None:
        super().__init__()
        channels, _, _ = input
        self.stem = nn.Sequential(nn.Conv2d(channels, widths[0], 3, padding=1, bias=False), norm(widths[0]), nn.ReLU())
        before = [widths[0], *widths]
        for place, width in enumerate(widths):
            first = Block(before[place], width, 1 if place == 0 else 2, norm)
            self.add_module(
                f"stage{place + 1}", nn.Sequential(first, *(Block(width, width, 1, norm) for _ in range(blocks - 1)))
            )
        self.head = nn.Linear(widths[-1], classes)

    def features(self, x: Tensor) -> Tensor:
        """Means over what is left of the image, ``[B, widths[-1]]``, of images ``[B, C, H, W]``."""
        for name, part in self.named_children():
            x = x if name == "head" else part(x)
        return x.mean((-2, -1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]``."""
        logits: Tensor = self.head(self.features(x))
        return logits


@register_model("resnet8-gn", inputs=("image",), summary="ResNet-8 with GroupNorm (CIFAR-10: 78,042 weights)")
def resnet8_gn(input: InputSpec, classes: int) -> nn.Module:
    """The smallest of the networks for CIFAR-10, one block per stage; what two cores can train."""
    return ResNet(input, classes, (16, 32, 64), 1, group_norm)


@register_model("resnet8-bn", inputs=("image",), summary="ResNet-8 with BatchNorm (CIFAR-10: 78,042 weights)")
def resnet8_bn(input: InputSpec, classes: int) -> nn.Module:
    """The same with BatchNorm."""
    return ResNet(input, classes, (16, 32, 64), 1, nn.BatchNorm2d)


@register_model("resnet18-gn", inputs=("image",), summary="ResNet-18 with GroupNorm (CIFAR-10: 11,173,962 weights)")
def resnet18_gn(input: InputSpec, classes: int) -> nn.Module:
    """ResNet-18 with the stem for small images."""
    return ResNet(input, classes, (64, 128, 256, 512), 2, group_norm)


@register_model("resnet18-bn", inputs=("image",), summary="ResNet-18 with BatchNorm (CIFAR-10: 11,173,962 weights)")
def resnet18_bn(input: InputSpec, classes: int) -> nn.Module:
    """The same with BatchNorm."""
    return ResNet(input, classes, (64, 128, 256, 512), 2, nn.BatchNorm2d)
