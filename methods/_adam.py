"""Adam, which pFedHN's descendants use for their hypernetworks: on the server, and on a client as a gradient rule."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim.adam import adam

from pfl_bench.api import Batch, Gradient, GradientRule, Params, State, Tensors, zeros_like

DECAYS = (0.9, 0.999)
EPSILON = 1e-8
FUSED = ("cpu", "cuda")
"""Devices that have PyTorch's fused step, where all parameters count steps together."""


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
    norm = get_total_norm(list(gradients.values()))
    scale = (most / (norm + 1e-6)).clamp(max=1.0)
    return Params({name: gradient * scale for name, gradient in gradients.items()})


def adam_step_(params: Params, gradients: Tensors, moments: State, lr: float) -> None:
    """One step, in place, of parameters and moments. Kingma & Ba 2015, algorithm 1."""
    own = {name: gradients[name].contiguous() for name in params}
    steps = moments.steps["taken"]
    if not steps.dim() and steps.device.type in FUSED:
        _fused_step_(params, own, moments, lr)
        steps += 1
        return
    steps += 1
    for name, tensor in params.items():
        direction, *both = _moved(own[name], moments.first[name], moments.second[name], steps)
        moments.first[name], moments.second[name] = both
        tensor -= lr * direction


def _fused_step_(params: Params, gradients: Tensors, moments: State, lr: float) -> None:
    """PyTorch's: one pass over a hypernetwork instead of ten."""
    first, second = ([tree[name] for name in params] for tree in (moments.first, moments.second))
    steps = [moments.steps["taken"].clone() for _ in params]
    with torch.no_grad():
        adam(list(params.values()), list(gradients.values()), first, second, [], steps, lr=lr, eps=EPSILON,
             beta1=DECAYS[0], beta2=DECAYS[1], weight_decay=0.0, amsgrad=False, maximize=False, fused=True)  # fmt: skip
    torch.autograd.graph.increment_version([*params.values(), *first, *second])  # PyTorch's kernel writes unseen


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
