"""Client models: ``nn.Module`` factories in a registry, used as pure functions of their parameters."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import torch
from torch import Tensor, nn

from pfl_bench.errors import RequestError
from pfl_bench.registry import MODELS
from pfl_bench.seeds import seed_of
from pfl_bench.spec.scenario import Precision

from .batches import Batch
from .net import Net, head_of
from .params import Params

InputShape = tuple[int, int, int]
Factory = Callable[[InputShape, int], nn.Module]

_BATCH_NORMS = (nn.modules.batchnorm._BatchNorm,)
_LOOP_ONLY = (nn.RNNBase,)
"""Modules without a rule for ``vmap``."""


def register_model(name: str, *, backend: str = "", **info: str) -> Callable[[Factory], Factory]:
    """Register ``factory(input_shape=(channels, height, width), classes) -> nn.Module`` as a client model.

    The module maps ``[B, C, H, W]`` to logits ``[B, classes]`` and says what is body and what is head: a child
    ``head``, applied to what its method ``features(x)`` or its child ``body`` gives, ``[B, d]``; an ``nn.Sequential``
    needs neither, its last layer is the head. Layers are the direct children with parameters, in definition order.
    ``backend="loop"``: for models that cannot be stacked.
    """
    return MODELS.register(name, **({"backend": backend} if backend else {}), **info)


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
        object.__setattr__(self, "order", tuple(_tensors(self.module)))

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
        found = [path for path, part in self.module.named_modules() if isinstance(part, _BATCH_NORMS)]
        return frozenset(name for name in self.order if name.rpartition(".")[0] in found)

    @cached_property
    def shapes(self) -> dict[str, torch.Size]:
        """Shape per trainable parameter, in definition order."""
        return {name: p.shape for name, p in self.module.named_parameters() if p.requires_grad}

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
        return any(isinstance(part, _BATCH_NORMS) for part in self.module.modules())

    @cached_property
    def trains_in_layers(self) -> bool:
        """Whether training must be done within ``layers.Layers``."""
        return self.random or self.mixes_samples

    @cached_property
    def serves_in_layers(self) -> bool:
        """Likewise for use: BatchNorm without running figures."""
        return any(isinstance(p, _BATCH_NORMS) and p.running_mean is None for p in self.module.modules())

    def top(self, layers: int) -> frozenset[str]:
        """Names of the parameters in the last ``layers`` layers; all of them if there are fewer layers."""
        last = self.layers[max(0, len(self.layers) - layers) :]
        return self.names if layers >= len(self.layers) else frozenset(name for layer in last for name in layer)

    def init(self, seed: int, device: torch.device | str = "cpu") -> Params:
        """Fresh weights and buffers, drawn on the CPU so that they are the same on every device."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(seed, "initial weights") >> 65)  # torch takes 63 bits
            module = self.factory()
        return Params({name: tensor.detach().to(device) for name, tensor in _tensors(module).items()})

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


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and floating-point buffers, in definition order."""
    buffers = {name: tensor for name, tensor in module.named_buffers() if tensor.is_floating_point()}
    return {**dict(module.named_parameters()), **buffers}


def make_model(name: str, input_shape: InputShape, classes: int, precision: Precision = "fp32") -> ClientModel:
    """Build a registered client model. RequestError if it does not fit the data or breaks its contract.

    Equal requests get the same object, which lets runs share what is cached about it.
    """
    entry = MODELS.entry(name)
    return _make_model(entry.value, name, input_shape, classes, precision, entry.info.get("backend", ""))


@lru_cache(maxsize=64)
def _make_model(
    factory: Factory, name: str, input_shape: InputShape, classes: int, precision: Precision, backend: str
) -> ClientModel:
    try:
        with torch.random.fork_rng(devices=[]):  # building draws weights; do not disturb the caller's stream
            module, training_module = (_uncounted(factory(input_shape, classes)) for _ in range(2))
            module.eval(), training_module.train()
            model = ClientModel(
                name=name, module=module, training_module=training_module, layers=_layers(module),
                head=_head_names(module), classes=classes, factory=lambda: factory(input_shape, classes),
                precision=precision, backend=backend or _backend_needed(module), random=_is_random(training_module),
            )  # fmt: skip
            model = replace(model, feature_size=_check(model, input_shape))
            if not _repeats(model, input_shape):
                model = replace(model, random=True)  # F.dropout without a module
                if not _repeats(model, input_shape):
                    raise ValueError(
                        "in training it draws random numbers of its own (dropout inside nn.MultiheadAttention or "
                        "nn.LSTM?); use nn.Dropout, F.dropout or F.scaled_dot_product_attention"
                    )
            if not model.backend and not _stacks(model, input_shape):
                model = replace(model, backend="loop")
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise RequestError(f"client model {name!r} does not fit images of shape {input_shape}: {reason}") from error
    return model


def _uncounted(module: nn.Module) -> nn.Module:
    """Without BatchNorm's counters of batches, which nothing reads: running figures move by a fixed momentum."""
    for part in module.modules():
        if isinstance(part, _BATCH_NORMS):
            if part.momentum is None:
                raise ValueError("a BatchNorm with momentum=None counts batches; give it a momentum")
            part.num_batches_tracked = None
    return module


def _layers(module: nn.Module) -> tuple[tuple[str, ...], ...]:
    """The module's own names first, then those in each direct child that has any; a child ``body`` is looked into."""
    own = dict(module.named_children())
    direct = tuple(name for name in _tensors(module) if "." not in name)
    if isinstance(own.get("body"), nn.Sequential):
        inner = {f"body.{child}": part for child, part in own["body"].named_children()}
        own = {k: v for name, part in own.items() for k, v in (inner if name == "body" else {name: part}).items()}
    found = (tuple(f"{child}.{name}" for name in _tensors(part)) for child, part in own.items())
    return tuple(layer for layer in (direct, *found) if layer)


def _head_names(module: nn.Module) -> frozenset[str]:
    head = head_of(module)
    (path,) = (path for path, part in module.named_children() if part is head)
    return frozenset(f"{path}.{name}" for name in _tensors(head))


def _backend_needed(module: nn.Module) -> str:
    return "loop" if any(isinstance(part, _LOOP_ONLY) for part in module.modules()) else ""


def _is_random(module: nn.Module) -> bool:
    """Whether training may draw random numbers: by its layers, or by their attributes (attention's ``dropout``)."""
    return any(
        isinstance(part, nn.modules.dropout._DropoutNd) or getattr(part, "dropout", 0.0) not in (0.0, None)
        for part in module.modules()
    )


def _check(model: ClientModel, input_shape: InputShape) -> int:
    """The width of its features; ValueError unless the model is what it says it is."""
    params, x = Params({n: t.detach() for n, t in _tensors(model.module).items()}), torch.rand(3, *input_shape)
    with torch.no_grad():
        counts = torch.ones(3)
        net = model.evaluating(counts)
        logits, features = net(params, x), net.features(params, x)
        if logits.shape != (3, model.classes):
            raise ValueError(f"its output has shape {tuple(logits.shape)} for 3 samples of {model.classes} classes; "
                             f"it must be (3, {model.classes})")  # fmt: skip
        if not torch.equal(net(params, x), logits):
            raise ValueError("in use it gives other outputs the second time: it draws or keeps something")
        if features.dim() != 2 or len(features) != 3:
            raise ValueError(f"its features have shape {tuple(features.shape)} for 3 samples; they must be (3, d)")
        if not torch.allclose(net.head(params, features), logits, rtol=1e-4, atol=1e-5):
            raise ValueError("its head applied to its features is not its output")
    return features.shape[1]


def _repeats(model: ClientModel, input_shape: InputShape) -> bool:
    """Whether a training pass depends on nothing but its arguments."""
    params, x = Params({n: t.detach() for n, t in _tensors(model.module).items()}), torch.rand(3, *input_shape)
    batch = Batch(x, torch.zeros(3, dtype=torch.int64), torch.ones(3), torch.arange(3))
    found = []
    with torch.no_grad():
        for seed in (1, 2):
            torch.manual_seed(seed)
            found.append(model.training(batch, params, padded=True)(params, x))
    return torch.equal(*found)


def _stacks(model: ClientModel, input_shape: InputShape) -> bool:
    """Whether a training pass of two clients at once works: some operations know no other way than one by one."""
    own = {name: t.detach().expand(2, *t.shape).clone() for name, t in _tensors(model.module).items()}
    leaves = [own[name].requires_grad_() for name in own if name in model.trainable]
    batch = Batch(torch.rand(2, 3, *input_shape), torch.zeros(2, 3, dtype=torch.int64), torch.ones(2, 3),
                  torch.arange(6).view(2, 3))  # fmt: skip

    def score(params: dict[str, Tensor], seen: Batch) -> Tensor:
        return model.training(seen, params, padded=True)(params, seen.x).square().sum()

    try:
        torch.autograd.grad(torch.func.vmap(score)(own, batch).sum(), leaves, allow_unused=True)
    except RuntimeError:
        return False
    return True
