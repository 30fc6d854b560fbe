"""A client model: an ``nn.Module`` as data, used as a pure function of its parameters."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from pfl_bench.seeds import seed_of
from pfl_bench.spec.scenario import Precision

from .batches import Batch
from .net import Halves, Net
from .params import Params

BATCH_NORMS = (nn.modules.batchnorm._BatchNorm,)


@dataclass(frozen=True, eq=False)
class ClientModel:
    """A client model as data: names, shapes, layers. ``evaluating`` and ``training`` give it as a pure function.

    ``trainable``: parameters with ``requires_grad``. ``buffers``: running figures (BatchNorm's), which travel with
    the parameters. ``body`` and ``head`` part all names. ``norms``: names of BatchNorm layers, by their type.
    ``backend``: the one it needs, "" for any. ``random``: whether training draws random numbers. ``feature_size``: d,
    the width of what the head receives.
    """

    name: str
    module: nn.Module
    training_module: nn.Module
    layers: tuple[tuple[str, ...], ...]
    head: frozenset[str]
    classes: int
    factory: Callable[[], nn.Module]
    precision: Precision = "fp32"
    backend: str = ""
    random: bool = False
    feature_size: int = 0
    order: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", tuple(tensors_of(self.module)))

    @cached_property
    def names(self) -> frozenset[str]:
        """All parameters and buffers."""
        return frozenset(self.order)

    @cached_property
    def body(self) -> frozenset[str]:
        """All names but the head's."""
        return self.names - self.head

    @cached_property
    def trainable(self) -> frozenset[str]:
        """Parameters that training moves."""
        return frozenset(name for name, p in self.module.named_parameters() if p.requires_grad)

    @cached_property
    def buffers(self) -> frozenset[str]:
        """Floating-point buffers; counters stay with the module."""
        return self.names - {name for name, _ in self.module.named_parameters()}

    @cached_property
    def norms(self) -> frozenset[str]:
        """Parameters and buffers of BatchNorm layers, whatever they are called."""
        found = [path for path, part in self.module.named_modules() if isinstance(part, BATCH_NORMS)]
        return frozenset(name for name in self.order if name.rpartition(".")[0] in found)

    @cached_property
    def shapes(self) -> dict[str, torch.Size]:
        """Shape per trainable parameter, in definition order."""
        return {name: p.shape for name, p in self.module.named_parameters() if p.requires_grad}

    @cached_property
    def tensor_shapes(self) -> dict[str, torch.Size]:
        """Shape per parameter and buffer."""
        return {name: tensor.shape for name, tensor in tensors_of(self.module).items()}

    @cached_property
    def size(self) -> int:
        """Number of weights."""
        return sum(p.numel() for p in self.module.parameters())

    @cached_property
    def convolutional(self) -> bool:
        """Whether it has a convolution; decides which back-end is faster on a CPU."""
        return any(isinstance(part, nn.modules.conv._ConvNd) for part in self.module.modules())

    @cached_property
    def mixes_samples(self) -> bool:
        """Whether training (or, without running figures, use) depends on who else is in a batch: BatchNorm."""
        return any(isinstance(part, BATCH_NORMS) for part in self.module.modules())

    @cached_property
    def trains_in_layers(self) -> bool:
        """Whether training must be done within ``layers.Layers``."""
        return self.random or self.mixes_samples

    @cached_property
    def serves_in_layers(self) -> bool:
        """Likewise for use: BatchNorm without running figures."""
        return any(isinstance(p, BATCH_NORMS) and p.running_mean is None for p in self.module.modules())

    def amiss(self, params: Iterable[str], wanted: Iterable[str]) -> str:
        """Which of the ``wanted`` names are missing among ``params``, and which are not the model's; "" if none."""
        given, needed = set(params), set(wanted)
        missing = [name for name in self.order if name in needed - given]
        unknown = [name for name in params if name not in self.names]
        parts = (("missing", missing), ("unknown", unknown))
        return "; ".join(f"{what} {', '.join(names)}" for what, names in parts if names)

    @cached_property
    def halves(self) -> Halves:
        """The module in use, to be called by halves."""
        return Halves(self.module)

    @cached_property
    def training_halves(self) -> Halves:
        """The module in training, to be called by halves."""
        return Halves(self.training_module)

    def top(self, layers: int) -> frozenset[str]:
        """Names of the parameters in the last ``layers`` layers; all of them if there are fewer layers."""
        last = self.layers[max(0, len(self.layers) - layers) :]
        return self.names if layers >= len(self.layers) else frozenset(name for layer in last for name in layer)

    def init(self, seed: int, device: torch.device | str = "cpu") -> Params:
        """Fresh weights and buffers, drawn on the CPU so that they are the same on every device."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(seed, "initial weights") >> 65)  # torch takes 63 bits
            module = self.factory()
        return Params({name: tensor.detach().to(device) for name, tensor in tensors_of(module).items()})

    def evaluating(self, counts: Tensor | None = None) -> Net:
        """The model in use. ``counts``: 1 for a sample, 0 for padding, ``[B]``, for models without running figures."""
        return Net(self, counts=counts)

    def training(self, batch: Batch, params: Params | dict[str, Tensor], *, padded: bool) -> Net:
        """The model in training on a batch, under parameters whose buffers' update is kept."""
        counts = batch.weight if padded and self.mixes_samples else None
        watched = {name: params[name] for name in self.buffers if name in params}
        return Net(self, training=True, noise=batch.noise, counts=counts, watched=watched)

    def computing(self, counts: Tensor | None, gradients: bool) -> Net:
        """The model in use inside ``fed.compute``, which refuses derivatives that nobody asked for."""
        return Net(self, counts=counts, forward_only=not gradients)


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and floating-point buffers, in definition order."""
    buffers = {name: tensor for name, tensor in module.named_buffers() if tensor.is_floating_point()}
    return {**dict(module.named_parameters()), **buffers}
