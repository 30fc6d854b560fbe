"""A client model as losses see it: a pure function of its parameters, whole or cut into body and head."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .layers import Layers
from .precision import arithmetic

if TYPE_CHECKING:
    from .model import ClientModel


class Net:
    """``net(params, x) == net.head(params, net.features(params, x))``, logits ``[B, classes]`` of a batch ``[B, ...]``.

    Parameters that are missing or that the model does not have are a ValueError. ``features`` ``[B, d]`` are what the
    head receives; the two halves take the whole parameters or just their own.
    """

    def __init__(
        self, model: "ClientModel", *, training: bool = False, noise: Tensor | None = None,
        counts: Tensor | None = None, watched: Mapping[str, Tensor] | None = None, forward_only: bool = False,
    ) -> None:  # fmt: skip
        """``noise``, ``counts``: as in ``layers.Layers``. ``watched``: the buffers whose update ``buffers`` gives."""
        self.model = model
        self.calls = 0
        self.buffers: dict[str, Tensor] = {}
        self._module = model.training_module if training else model.module
        self._training = training
        self._forward_only = forward_only
        self._watched = watched or {}
        layered = model.trains_in_layers if training else model.serves_in_layers
        self._layers = Layers(noise, counts) if layered else None

    def __call__(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Logits ``[B, classes]``."""
        if params.keys() != self.model.names:
            raise self._wrong(params, self.model.names)
        return self._apply("", params, x)

    def features(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """What the head receives, ``[B, d]``."""
        return self._apply("features", self._half(params, self.model.body), x)

    def head(self, params: Mapping[str, Tensor], z: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of features ``[B, d]``."""
        return self._apply("head", self._half(params, self.model.head), z)

    def _half(self, params: Mapping[str, Tensor], names: frozenset[str]) -> dict[str, Tensor]:
        if not params.keys() >= names or not params.keys() <= self.model.names:
            raise self._wrong(params, names)
        return {name: tensor for name, tensor in params.items() if name in names}

    def _apply(self, part: str, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        if self._forward_only and (torch.is_grad_enabled() or torch.autograd.forward_ad._current_level >= 0):
            raise RuntimeError(
                "a function given to fed.compute takes derivatives; ask for compute(..., gradients=True)"
            )
        if self._training and torch.autograd.forward_ad._current_level >= 0:
            raise RuntimeError("a loss takes derivatives of its own; that is what a gradient rule is for")
        self.calls += part != "head"  # a head on features is the second half of one pass
        given = dict(params)
        if self._training and self.model.buffers:
            self._renew(given)
        with self._context(x.device.type):
            if not part:
                found: Tensor = torch.func.functional_call(self._module, given, (x,))
            else:
                named = {f"module.{name}": tensor for name, tensor in given.items()}
                found = torch.func.functional_call(self._halves, named, (part, x))
        return found.float()

    @property
    def _halves(self) -> "Halves":
        return self.model.training_halves if self._training else self.model.halves

    def _context(self, device_type: str) -> AbstractContextManager[Any]:
        precise = arithmetic(self.model.precision, device_type)
        if self._layers is None:
            return precise
        stack = ExitStack()
        stack.enter_context(precise)
        stack.enter_context(self._layers)
        return stack

    def _renew(self, given: dict[str, Tensor]) -> None:
        """Let the module change copies of the buffers; those of the first pass of the watched ones are kept.

        So a step moves the running figures once, by its first batch under the parameters it starts from.
        """
        own = [name for name in given if name in self.model.buffers]
        for name in own:
            before, given[name] = given[name], given[name].clone()
            if name not in self.buffers and self._watched.get(name) is before:
                self.buffers[name] = given[name]

    def _wrong(self, params: Mapping[str, Tensor], names: frozenset[str]) -> ValueError:
        amiss = self.model.amiss(params, names)
        return ValueError(f"client model {self.model.name!r} got the wrong parameters: {amiss}")


class Halves(nn.Module):
    """A module whose halves can be called like a whole one, which is all that ``functional_call`` knows."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, part: str, x: Tensor) -> Tensor:
        """``features`` or ``head``."""
        return features_of(self.module, x) if part == "features" else head_of(self.module)(x)


def features_of(module: nn.Module, x: Tensor) -> Tensor:
    """What a client model's head receives: its method ``features``, its child ``body``, or all but the last layer."""
    own = getattr(module, "features", None)
    if callable(own):
        return own(x)
    body = getattr(module, "body", None)
    if isinstance(body, nn.Module):
        return body(x)
    if isinstance(module, nn.Sequential):
        for layer in list(module)[:-1]:
            x = layer(x)
        return x
    raise ValueError("it must say what its features are: a method features(x), a child body, or an nn.Sequential")


def head_of(module: nn.Module) -> nn.Module:
    """A client model's child ``head``, or the last layer of an ``nn.Sequential``."""
    own = getattr(module, "head", None)
    if isinstance(own, nn.Module):
        return own
    if isinstance(module, nn.Sequential) and len(module) > 1:
        return module[-1]
    raise ValueError("it must say what its head is: a child called head, or an nn.Sequential that ends in it")
