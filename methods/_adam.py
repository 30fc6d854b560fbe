"""Adam, which pFedHN's descendants use for their hypernetworks: on the server, and on a client as a gradient rule."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pfl_bench.api import Batch, Gradient, GradientRule, Params, State, Tensors, zeros_like

DECAYS = (0.9, 0.999)
EPSILON = 1e-8


def adam_moments(params: Params, rows: int | None = None) -> State:
    """Before the first step; with ``rows`` each row of the parameters ``[rows, ...]`` counts its own steps."""
    some = next(iter(params.values()))
    steps = some.new_zeros(()) if rows is None else some.new_zeros(rows, *[1] * (some.dim() - 1))
    return State(first=zeros_like(params), second=zeros_like(params), steps=Params(taken=steps))


def moment_rows(moments: State, rows: Tensor) -> State:
    """Copies of some rows' moments."""
    return State(first=moments.first.rows(rows), second=moments.second.rows(rows), steps=moments.steps.rows(rows))


def set_moment_rows(moments: State, rows: Tensor, own: State) -> None:
    """Write some rows' moments."""
    moments.first.set_rows(rows, own.first)
    moments.second.set_rows(rows, own.second)
    moments.steps.set_rows(rows, own.steps)


def clipped(gradients: Tensors, most: float) -> Params:
    """Gradients scaled down so that their joint norm is at most ``most``."""
    norm = torch.stack([gradient.square().sum() for gradient in gradients.values()]).sum().sqrt()
    scale = (most / (norm + 1e-6)).clamp(max=1.0)
    return Params({name: gradient * scale for name, gradient in gradients.items()})


def in_order(gradient: Tensor) -> Tensor:
    """The same, contiguous as the moments are: in mixed orders of memory a step takes two to three times as long.

    Matrix by matrix, which PyTorch transposes five times as fast as several at once.
    """
    if gradient.is_contiguous():
        return gradient
    ordered = torch.empty_like(gradient, memory_format=torch.contiguous_format)
    for into, matrix in zip(ordered, gradient, strict=True):
        into.copy_(matrix)
    return ordered


def adam_step_(params: Params, gradients: Tensors, moments: State, lr: float) -> None:
    """One step, in place, of parameters and moments. Kingma & Ba 2015, algorithm 1."""
    moments.steps["taken"] += 1
    for name, tensor in params.items():
        gradient = in_order(gradients[name])
        direction = _moved(gradient, moments.first[name], moments.second[name], moments.steps["taken"])
        moments.first[name], moments.second[name] = direction[1:]
        tensor -= lr * direction[0]


def _moved(gradient: Tensor, first: Tensor, second: Tensor, steps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The direction of a step, and both moments after it."""
    first = first.lerp(gradient, 1 - DECAYS[0])
    second = second.lerp(gradient.square(), 1 - DECAYS[1])
    corrected, spread = first / (1 - DECAYS[0] ** steps), second / (1 - DECAYS[1] ** steps)
    return corrected / (spread.sqrt() + EPSILON), first, second


@dataclass(frozen=True)
class AdamRule(GradientRule):
    """Adam's direction on a client, for ``Sgd(lr)`` to take; the carry is made by ``adam_carry``."""

    def __call__(
        self, gradient: Gradient, params: Tensors, batches: tuple[Batch, ...], aux: Any, carry: Any
    ) -> tuple[Tensors, Any]:
        """The direction, and the moments."""
        first, second, steps = carry
        steps = steps + 1
        found = {k: _moved(g, first[k], second[k], steps) for k, g in gradient(params, batches[0]).items()}
        direction, first, second = ({k: each[i] for k, each in found.items()} for i in range(3))
        return direction, (first, second, steps)


def adam_carry(params: Params) -> tuple[Params, Params, Tensor]:
    """Moments at zero for parameters ``[c, ...]``, and no steps yet."""
    some = next(iter(params.values()))
    return zeros_like(params), zeros_like(params), some.new_zeros(len(some))
