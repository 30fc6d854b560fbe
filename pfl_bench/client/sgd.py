"""Stochastic gradient descent: its figures as a value, and the one step that every back-end takes."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sgd:
    """SGD as in ``torch.optim.SGD``; a client's gradient is first scaled down to norm ``clip_norm`` (None: never).

    ``groups``: parameters with figures of their own, clipped by a norm of their own; made with ``but``.
    ValueError for figures that are none.
    """

    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    groups: tuple[tuple[frozenset[str], "Sgd"], ...] = ()

    def __post_init__(self) -> None:
        for name, least in (("lr", 0.0), ("momentum", 0.0), ("weight_decay", 0.0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise ValueError(f"Sgd: {name}={value!r} must be a finite number of at least {least:g}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"Sgd: clip_norm={self.clip_norm!r} must be above 0, or None for no clipping")

    def but(self, names: Iterable[str], **figures: Any) -> "Sgd":
        """The same with other figures for these parameters: ``sgd.but(head, lr=0.1, clip_norm=None)``."""
        own = (frozenset(names), replace(self, groups=(), **figures))
        return replace(self, groups=(*self.groups, own))

    def parts(self, names: Sequence[str]) -> list[tuple["Sgd", tuple[str, ...]]]:
        """Which of ``names`` move by which figures, in the given order; ValueError if one is in two groups."""
        claimed = [name for group, _ in self.groups for name in group]
        if len(set(claimed)) < len(claimed):
            raise ValueError(f"Sgd: parameter {max(claimed, key=claimed.count)!r} is in two groups")
        rest = tuple(name for name in names if name not in claimed)
        every = [(self, rest), *((own, tuple(name for name in names if name in group)) for group, own in self.groups)]
        return [(figures, own) for figures, own in every if own]


def joint_norm(gradients: Sequence[Tensor]) -> Tensor:
    """The norm of one client's gradient, a scalar."""
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(gradients))))


def norm_per_client(gradients: Sequence[Tensor]) -> Tensor:
    """The norms of the clients' flat gradients, one tensor ``[c, P]``: ``[c, 1]``."""
    (flat,) = gradients
    return torch.linalg.vector_norm(flat, dim=1, keepdim=True)


def sgd_step_(
    params: Mapping[str, Tensor], gradients: Mapping[str, Tensor], momentum: Mapping[str, Tensor], spec: Sgd
) -> None:
    """One step of one client, in place: clip, add weight decay, update momentum, move. ``gradients`` is overwritten.

    Parameters and momentum buffers must be contiguous: PyTorch's fused kernel walks memory, not shapes.
    """
    for figures, names in spec.parts(tuple(gradients)):
        ready = [gradients[name].contiguous() for name in names]
        clip_(ready, figures.clip_norm, joint_norm)
        buffers = [momentum[name] if figures.momentum else None for name in names]
        descend_([params[name] for name in names], ready, buffers, figures)


def flat_step_(flat: Tensor, gradient: Tensor, momentum: Tensor, figures: Sgd) -> None:
    """``sgd_step_`` on one group of parameters of all clients at once, each ``[c, P]``, in place."""
    clip_([gradient], figures.clip_norm, norm_per_client)
    descend_([flat], [gradient], [momentum if figures.momentum else None], figures)


def clip_(gradients: Sequence[Tensor], most: float | None, norm: Any = joint_norm) -> None:
    """Scale tensors in place so that their norm is at most ``most``, as ``clip_grad_norm_`` does; None: leave them."""
    if most is None or not gradients:
        return
    scale = (most / (norm(gradients) + 1e-6)).clamp(max=1.0)
    if scale.dim():
        gradients[0].mul_(scale)
    else:
        torch._foreach_mul_(list(gradients), scale)


def descend_(params: list[Tensor], gradients: list[Tensor], momentum: list[Tensor | None], spec: Sgd) -> None:
    """Weight decay, momentum and the step itself: one pass over memory with PyTorch's fused kernel."""
    buffers = [] if None in momentum else cast(list[Tensor], momentum)
    for tensor in (*params, *gradients, *buffers):
        if not tensor.is_contiguous():
            raise ValueError("SGD needs contiguous parameters, gradients and momentum buffers")
    with torch.no_grad():
        fused_step_(params, gradients, buffers, spec)
    torch.autograd.graph.increment_version([*params, *buffers])  # PyTorch's kernel writes unseen


def fused_step_(params: list[Tensor], gradients: list[Tensor], buffers: list[Tensor], spec: Sgd) -> None:
    """``descend_`` on contiguous tensors, within ``no_grad``; ``buffers`` are empty without momentum."""
    # what torch.optim.sgd.sgd(fused=True) calls, for a third of its time where parameters are few
    torch._fused_sgd_(
        params,
        gradients,
        buffers,
        weight_decay=spec.weight_decay,
        momentum=spec.momentum,
        lr=spec.lr,
        dampening=0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
    )
