"""What a client descends: losses and gradient rules, pure functions that compare by value.

Two requests with equal losses and rules are the same computation, so runs share traces and CUDA graphs. That is why
a loss must be a value: what changes from round to round comes in ``aux`` or makes a new object.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import FunctionType
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from .batches import Batch
from .net import Net
from .params import Tensors

Loss = Callable[[Net, Tensors, Batch, Any], Tensor]
"""``loss(net, params, batch, aux) -> scalar``, for one client. A frozen dataclass or a module's own function."""

Gradient = Callable[[Tensors, Batch], dict[str, Tensor]]
"""``gradient(params, batch)``: of the request's loss, by the trainable parameters. Names that are not given are the
step's own."""

_PLAIN = (int, float, str, bool, type(None))


class GradientRule(ABC):
    """What SGD descends instead of the plain gradient, for one client. Subclasses are frozen dataclasses."""

    @property
    def draws(self) -> int:
        """Independent batches per step."""
        return 1

    @property
    def gradients(self) -> int:
        """Mini-batch gradients that one step costs."""
        return 1

    @abstractmethod
    def __call__(
        self, gradient: Gradient, params: Tensors, batches: tuple[Batch, ...], aux: Any, carry: Any
    ) -> tuple[Mapping[str, Tensor], Any]:
        """Direction per trainable parameter, and the carry for the next step.

        ``params`` are the trainable ones; ``batches`` has ``draws`` of them; ``aux`` is the request's, unchanged;
        ``carry`` is a tree of tensors that goes from step to step and comes back in ``Trained.carry``.
        """


def check_cost(rule: GradientRule, calls: int) -> None:
    """ValueError if a rule asked for more gradients in a step than it says, which is what the budget is charged."""
    if not 1 <= calls <= rule.gradients:
        raise ValueError(f"rule {type(rule).__name__} called gradient {calls} times in a step; its property gradients "
                         f"says {rule.gradients}, which is what a step costs")  # fmt: skip


def cross_entropy(net: Net, params: Tensors, batch: Batch, aux: Any = None) -> Tensor:
    """Mean cross-entropy over the samples of a batch; padding does not count."""
    return mean_over(batch, cross_entropies(net(params, batch.x), batch.y))


def total_cross_entropy(net: Net, params: Tensors, batch: Batch, aux: Any = None) -> Tensor:
    """Cross-entropy summed over the samples of a batch, for ``fed.compute``, which adds batches up."""
    return (cross_entropies(net(params, batch.x), batch.y) * batch.weight).sum()


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy per sample: logits ``[B, classes]`` and labels ``[B]`` to ``[B]``."""
    # As F.cross_entropy to the last bit; under vmap that one runs as slow Python.
    return -F.log_softmax(logits, dim=-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)


def mean_over(batch: Batch, values: Tensor) -> Tensor:
    """Mean of a value per sample ``[B]`` over the samples of a batch; padding does not count."""
    return (values * batch.weight).sum() / batch.weight.sum()


def check_step(
    rule: GradientRule, params: Tensors, carry: Any, step: tuple[Mapping[str, Tensor], Any]
) -> tuple[Mapping[str, Tensor], Any]:
    """What a rule returned for trainable ``params``; ValueError unless it moves all of them and keeps to its carry."""
    direction, carried = step
    name = type(rule).__name__
    if direction.keys() != params.keys():
        raise ValueError(f"rule={name} gave a direction for {', '.join(direction)}; it must be for {', '.join(params)}")
    if (carry is None) != (carried is None):
        was, now = ("None" if tree is None else "a tree" for tree in (carry, carried))
        raise ValueError(f"rule={name} got carry {was} and returned {now}: train(carry=...) says what it starts from")
    return direction, carried


def scalar(value: Tensor, loss: Loss) -> Tensor:
    """A loss's value; ValueError unless it is one number."""
    if value.dim():
        name = getattr(loss, "__name__", type(loss).__name__)
        raise ValueError(
            f"loss={name} gave shape {tuple(value.shape)}; it must be a scalar, such as mean_over(batch, ...)"
        )
    return value


def check_value(what: str, function: Any) -> None:
    """TypeError unless ``function`` is a value: a frozen dataclass of plain values, or a function of a module.

    A bound method, a closure or a lambda can read what changes between rounds, which a traced step would not see.
    """
    if isinstance(function, FunctionType) and function.__closure__ is None and "<" not in function.__qualname__:
        return
    if not _is_value(function) or isinstance(function, _PLAIN):
        name = getattr(function, "__qualname__", type(function).__qualname__)
        raise TypeError(
            f"{what}={name} must be a frozen dataclass of plain values or a function at a module's top level: "
            "what changes between rounds comes in aux or makes a new object"
        )


def _is_value(thing: Any) -> bool:
    if isinstance(thing, _PLAIN):
        return True
    if isinstance(thing, tuple | frozenset):
        return all(_is_value(part) for part in thing)
    if isinstance(thing, type) or not is_dataclass(thing):
        return False
    spec = getattr(thing, "__dataclass_params__")  # noqa: B009
    if not (spec.frozen and spec.eq):
        return False
    declared = {field.name for field in fields(thing)}
    return declared >= set(vars(thing)) and all(_is_value(getattr(thing, name)) for name in declared)


@dataclass(frozen=True)
class Scaled(GradientRule):
    """The plain gradient, with that of some parameters multiplied by a factor: a learning rate of their own.

    Unlike a group of ``Sgd`` it clips all parameters by one norm.
    """

    names: frozenset[str]
    factor: float

    def __call__(
        self, gradient: Gradient, params: Tensors, batches: tuple[Batch, ...], aux: Any, carry: Any
    ) -> tuple[Mapping[str, Tensor], Any]:
        """Scale."""
        found = gradient(params, batches[0])
        return {name: self.factor * g if name in self.names else g for name, g in found.items()}, carry
