"""Any classifier of torchvision by its own constructor, without weights: ``torchvision:resnet18?norm=group``.

torchvision is imported when such a model is asked for, and not before.
"""

import difflib
import importlib
from typing import Any

from torch import Tensor, nn

from pfl_bench.api import InputSpec, RequestError, register_model

NORMS, GROUPS = ("batch", "group"), 2
"""``group``: every BatchNorm becomes a GroupNorm of ``GROUPS`` groups, as in ``resnet.py``."""


class Backboned(nn.Module):
    """A network of torchvision whose last linear layer is the head. Grey images are given to all three channels."""

    def __init__(self, network: nn.Module, channels: int) -> None:
        super().__init__()
        path, head = _last_linear(network)
        network.set_submodule(path, nn.Identity())
        self.grey = channels == 1
        self.backbone, self.head = network, head

    def features(self, x: Tensor) -> Tensor:
        """What the last linear layer receives, ``[B, d]``, of images ``[B, C, H, W]``."""
        found: Tensor = self.backbone(x.expand(-1, 3, -1, -1) if self.grey else x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]``."""
        logits: Tensor = self.head(self.features(x))
        return logits


def _last_linear(network: nn.Module) -> tuple[str, nn.Linear]:
    """Path and layer; ValueError where the last layer with weights is another one."""
    own = [(path, part) for path, part in network.named_modules() if list(part.parameters(recurse=False))]
    path, head = own[-1]
    if not isinstance(head, nn.Linear):
        raise ValueError(f"its last layer is no linear one but {path}, a {type(head).__name__}")
    return path, head


def _with_group_norm(network: nn.Module) -> nn.Module:
    for path, part in list(network.named_modules()):
        if isinstance(part, nn.BatchNorm2d):
            network.set_submodule(path, nn.GroupNorm(GROUPS, part.num_features))
    return network


def _read(argument: str) -> tuple[str, str]:
    """``NAME?norm=group`` as its name and norm, ``batch`` where it says none: what the constructor does."""
    name, mark, option = argument.partition("?")
    key, _, norm = option.partition("=")
    if mark and (key != "norm" or norm not in NORMS):
        raise RequestError(f"client model 'torchvision:{argument}': {option!r} must be norm={' or norm='.join(NORMS)}")
    return name, norm or "batch"


def _zoo() -> Any:
    try:
        return importlib.import_module("torchvision.models")
    except Exception as error:  # a torchvision for another torch fails with a RuntimeError
        raise RequestError(
            f"client model 'torchvision' needs a torchvision that fits the installed torch: {error}"
        ) from error


@register_model(
    "torchvision",
    inputs=("image",),
    argument="NAME or NAME?norm=group",
    example="torchvision:resnet18?norm=group",
    summary="torchvision:NAME, by its own constructor, untrained; ?norm=group for GroupNorm in place of BatchNorm",
)
def torchvision(input: InputSpec, classes: int, argument: str) -> nn.Module:
    """A classifier of torchvision for images with one or three channels."""
    name, norm = _read(argument)
    zoo = _zoo()
    known = zoo.list_models(module=zoo)
    if name not in known:
        near = difflib.get_close_matches(name, known, 3)
        raise RequestError(
            f"client model 'torchvision:{argument}': torchvision has no classifier {name!r}"
            + (f"; did you mean {' or '.join(map(repr, near))}?" if near else "")
        )
    channels, _, _ = input
    if channels not in (1, 3):
        raise ValueError(f"torchvision's networks take three channels, and grey images; these have {channels}")
    network = zoo.get_model(name, weights=None, num_classes=classes)
    return Backboned(_with_group_norm(network) if norm == "group" else network, channels)
