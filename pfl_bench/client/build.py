"""Client models by name: factories in a registry, built, taken apart and checked."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from pfl_bench.data.inputs import KINDS, InputKind, InputSpec, as_input
from pfl_bench.errors import RequestError, shown
from pfl_bench.registry import MODELS
from pfl_bench.spec.scenario import Precision

from .batches import Batch
from .model import BATCH_NORMS, ClientModel, tensors_of
from .net import head_of
from .params import Params

InputShape = tuple[int, ...]
Factory = Callable[..., nn.Module]
"""``factory(input, classes)``, or ``factory(input, classes, argument)``."""

_LOOP_ONLY = (nn.RNNBase,)
"""Modules without a rule for ``vmap``."""


def register_model(
    name: str, *, inputs: Sequence[InputKind] = (), backend: str = "", argument: str = "", **info: str
) -> Callable[[Factory], Factory]:
    """Register ``factory(input, classes) -> nn.Module`` as a client model.

    ``input`` is an ``InputSpec``; of images ``channels, height, width = input``. ``inputs``: the kinds of input that
    the model takes, empty for any; others are refused before it is built.
    The module maps ``[B, *input.shape]`` to logits ``[B, classes]`` and says what is body and what is head: a child
    ``head``, applied to what its method ``features(x)`` or its child ``body`` gives, ``[B, d]``; an ``nn.Sequential``
    needs neither, its last layer is the head. Layers are the direct children with parameters, in definition order.
    ``backend="loop"``: for models that cannot be stacked. ``argument``: of a family whose members are asked for as
    ``name:ARGUMENT``, what may stand there, in words; the factory's third parameter is what does. ``example=`` is then
    the member that ``check --model all`` examines. A child ``backbone`` is looked into for layers, as a child ``body``
    that is an ``nn.Sequential``.
    """
    for kind in inputs:
        if kind not in KINDS:
            raise RequestError(f"client model {shown(name)}: inputs={shown(inputs)} must be among {', '.join(KINDS)}")
    told = {"backend": backend, "inputs": ",".join(inputs), "argument": argument}
    return MODELS.register(name, **{key: text for key, text in told.items() if text}, **info)


def make_model(
    name: str, input: InputSpec | InputShape, classes: int, precision: Precision = "fp32"
) -> ClientModel:  # fmt: skip
    """Build a registered client model. RequestError if it does not fit the data or breaks its contract.

    A bare shape is an image's. Equal requests get the same object, which lets runs share what is cached about it.
    """
    base, _, argument = name.partition(":")
    entry, spec = MODELS.entry(base), as_input(input)
    if takes := entry.info.get("argument", ""):
        if not argument:
            raise RequestError(f"client model {name!r} needs an argument: {base}:{takes}")
    elif base != name:
        raise RequestError(f"client model {base!r} takes no argument, found {shown(argument)}")
    kinds = entry.info.get("inputs", "")
    if kinds and spec.kind not in kinds.split(","):
        raise RequestError(f"client model {name!r} does not fit {spec}: it takes {kinds.replace(',', ' or ')} inputs")
    return _make_model(entry.value, name, argument, spec, classes, precision, entry.info.get("backend", ""))


@lru_cache(maxsize=64)
def _make_model(
    factory: Factory, name: str, argument: str, input: InputSpec, classes: int, precision: Precision, backend: str
) -> ClientModel:
    factory = partial(factory, argument=argument) if argument else factory
    try:
        with torch.random.fork_rng(devices=[]):  # building draws weights; do not disturb the caller's stream
            module, training_module = (_uncounted(factory(input, classes)) for _ in range(2))
            module.eval(), training_module.train()
            model = ClientModel(
                name=name, module=module, training_module=training_module, layers=_layers(module),
                head=_head_names(module), classes=classes, factory=lambda: factory(input, classes),
                precision=precision, backend=backend or _backend_needed(module), random=_is_random(training_module),
            )  # fmt: skip
            model = replace(model, feature_size=_check(model, input))
            if not _repeats(model, input):
                model = replace(model, random=True)  # F.dropout without a module
                if not _repeats(model, input):
                    raise ValueError(
                        "in training it draws random numbers of its own (dropout inside nn.MultiheadAttention or "
                        "nn.LSTM?); use nn.Dropout, F.dropout or F.scaled_dot_product_attention"
                    )
            if not model.backend and not _stacks(model, input):
                model = replace(model, backend="loop")
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, AssertionError) as error:
        reason = " ".join(str(error).split())
        raise RequestError(f"client model {name!r} does not fit {input}: {reason}") from error
    return model


def _uncounted(module: nn.Module) -> nn.Module:
    """Without BatchNorm's counters of batches, which nothing reads: running figures move by a fixed momentum."""
    for part in module.modules():
        if isinstance(part, BATCH_NORMS):
            if part.momentum is None:
                raise ValueError("a BatchNorm with momentum=None counts batches; give it a momentum")
            part.num_batches_tracked = None
    return module


def _layers(module: nn.Module) -> tuple[tuple[str, ...], ...]:
    """The module's own names first, then those in each direct child that has any; a child ``body`` in sequence, or
    ``backbone``, is looked into."""
    own: dict[str, nn.Module] = {}
    direct = tuple(name for name in tensors_of(module) if "." not in name)
    for name, part in module.named_children():
        within = name == "backbone" or (name == "body" and isinstance(part, nn.Sequential))
        own |= {f"{name}.{child}": each for child, each in part.named_children()} if within else {name: part}
    found = (tuple(f"{child}.{name}" for name in tensors_of(part)) for child, part in own.items())
    return tuple(layer for layer in (direct, *found) if layer)


def _head_names(module: nn.Module) -> frozenset[str]:
    head = head_of(module)
    (path,) = (path for path, part in module.named_children() if part is head)
    return frozenset(f"{path}.{name}" for name in tensors_of(head))


def _backend_needed(module: nn.Module) -> str:
    return "loop" if any(isinstance(part, _LOOP_ONLY) for part in module.modules()) else ""


def _is_random(module: nn.Module) -> bool:
    """Whether training may draw random numbers: by its layers, or by their attributes (attention's ``dropout``)."""
    return any(
        isinstance(part, nn.modules.dropout._DropoutNd) or getattr(part, "dropout", 0.0) not in (0.0, None)
        for part in module.modules()
    )


def _example(input: InputSpec, *lead: int) -> Tensor:
    """Samples of the right kind, ``[*lead, *input.shape]``."""
    if input.kind == "tokens":
        return torch.randint(input.vocabulary, (*lead, *input.shape))
    return torch.rand(*lead, *input.shape)


def _check(model: ClientModel, input: InputSpec) -> int:
    """The width of its features; ValueError unless the model is what it says it is."""
    params, x = Params({n: t.detach() for n, t in tensors_of(model.module).items()}), _example(input, 3)
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


def _repeats(model: ClientModel, input: InputSpec) -> bool:
    """Whether a training pass depends on nothing but its arguments."""
    params, x = Params({n: t.detach() for n, t in tensors_of(model.module).items()}), _example(input, 3)
    batch = Batch(x, torch.zeros(3, dtype=torch.int64), torch.ones(3), torch.arange(3))
    found = []
    with torch.no_grad():
        for seed in (1, 2):
            torch.manual_seed(seed)
            found.append(model.training(batch, params, padded=True)(params, x))
    return torch.equal(*found)


def _stacks(model: ClientModel, input: InputSpec) -> bool:
    """Whether a training pass of two clients at once works: some operations know no other way than one by one."""
    own = {name: t.detach().expand(2, *t.shape).clone() for name, t in tensors_of(model.module).items()}
    leaves = [own[name].requires_grad_() for name in own if name in model.trainable]
    batch = Batch(_example(input, 2, 3), torch.zeros(2, 3, dtype=torch.int64), torch.ones(2, 3),
                  torch.arange(6).view(2, 3))  # fmt: skip

    def score(params: dict[str, Tensor], seen: Batch) -> Tensor:
        return model.training(seen, params, padded=True)(params, seen.x).square().sum()

    try:
        torch.autograd.grad(torch.func.vmap(score)(own, batch).sum(), leaves, allow_unused=True)
    except RuntimeError:
        return False
    return True
