"""Client models: ``nn.Module`` factories in a registry, used as pure functions of their parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from pfl_bench.errors import RequestError
from pfl_bench.registry import MODELS
from pfl_bench.seeds import seed_of
from pfl_bench.spec.scenario import Precision

from .params import Params
from .precision import arithmetic

InputShape = tuple[int, int, int]
Factory = Callable[[InputShape, int], nn.Module]


def register_model(name: str, **info: str) -> Callable[[Factory], Factory]:
    """Register ``factory(input_shape=(channels, height, width), classes) -> nn.Module`` as a client model.

    The module maps ``[B, C, H, W]`` images to ``[B, classes]`` logits. Its layers are its direct children
    with parameters, in definition order. The head is what its attribute ``head`` names (a tuple of children),
    else the last layer; everything else is the body. Modules with buffers (BatchNorm) are refused.
    """
    return MODELS.register(name, **info)


@dataclass(frozen=True)
class ClientModel:
    """A client model as data (names, shapes, layers) and a pure function (``apply``)."""

    name: str
    module: nn.Module
    layers: tuple[tuple[str, ...], ...]
    head: frozenset[str]
    factory: Callable[[], nn.Module]
    precision: Precision = "fp32"

    @property
    def shapes(self) -> dict[str, torch.Size]:
        """Shape per parameter, in definition order."""
        return {name: parameter.shape for name, parameter in self.module.named_parameters()}

    @property
    def size(self) -> int:
        """Number of weights."""
        return sum(shape.numel() for shape in self.shapes.values())

    @property
    def convolutional(self) -> bool:
        """Whether it has a convolution; decides which back-end is faster on a CPU."""
        return any(isinstance(module, nn.modules.conv._ConvNd) for module in self.module.modules())

    def top(self, layers: int) -> frozenset[str]:
        """Names of the parameters in the last ``layers`` layers; all of them if there are fewer layers."""
        last = self.layers[max(0, len(self.layers) - layers) :]
        return frozenset(name for layer in last for name in layer)

    def init(self, seed: int, device: torch.device | str = "cpu") -> Params:
        """Fresh weights, drawn on the CPU so that they are the same on every device."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(seed, "initial weights") >> 65)  # torch takes 63 bits
            module = self.factory()
        return Params({name: p.detach().to(device) for name, p in module.named_parameters()})

    def apply(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of images ``[B, C, H, W]`` under these parameters."""
        with arithmetic(self.precision, x.device.type):
            logits: Tensor = torch.func.functional_call(self.module, dict(params), (x,))
        return logits.float()


def make_model(name: str, input_shape: InputShape, classes: int, precision: Precision = "fp32") -> ClientModel:
    """Build a registered client model. RequestError if it does not fit the images or has buffers.

    Equal requests get the same object, which lets runs share what is cached about it.
    """
    return _make_model(MODELS.get(name), name, input_shape, classes, precision)


@lru_cache(maxsize=16)
def _make_model(
    factory: Factory, name: str, input_shape: InputShape, classes: int, precision: Precision
) -> ClientModel:
    try:
        with torch.random.fork_rng(devices=[]):  # building draws weights; do not disturb the caller's stream
            module = factory(input_shape, classes)
            if any(True for _ in module.buffers()):
                raise ValueError("it has buffers (BatchNorm?), which are not supported")
            with torch.no_grad():
                module(torch.zeros(1, *input_shape))
    except (RuntimeError, ValueError) as error:
        raise RequestError(f"client model {name!r} does not fit images of shape {input_shape}: {error}") from error
    children = [child for child, part in module.named_children() if any(True for _ in part.parameters())]
    layers = tuple(
        tuple(f"{child}.{parameter}" for parameter, _ in module.get_submodule(child).named_parameters())
        for child in children
    )
    heads = getattr(module, "head", (children[-1],))
    head = frozenset(n for n, _ in module.named_parameters() if n.split(".")[0] in heads)
    return ClientModel(name, module, layers, head, lambda: factory(input_shape, classes), precision)
