"""A training request is data: back-ends only execute it, so they cannot disagree about randomness."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.sgd import sgd

from .params import Params, Tensors

Apply = Callable[[Tensors, Tensor], Tensor]
BatchMode = Literal["fresh", "epoch"]


class Batch(NamedTuple):
    """Images ``x`` ``[B, C, H, W]``, labels ``y`` ``[B]`` and weights ``[B]``: 1 for a sample, 0 for padding."""

    x: Tensor
    y: Tensor
    weight: Tensor


Loss = Callable[[Apply, Tensors, Batch, Any], Tensor]
"""``loss(apply, params, batch, aux) -> scalar``, for one client; a pure function."""

Gradient = Callable[[Tensors, Batch], dict[str, Tensor]]
"""``gradient(params, batch)``: gradient of the request's loss with respect to the trainable parameters."""

GradientRule = Callable[[Gradient, Tensors, tuple[Batch, ...], Any, Any], tuple[Mapping[str, Tensor], Any]]
"""``rule(gradient, params, batches, aux, memory) -> (direction, memory)``, for one client: what SGD descends
instead of the plain gradient. ``memory`` is a tree that is carried from step to step and returned."""


def cross_entropy(apply: Apply, params: Tensors, batch: Batch, aux: Any = None) -> Tensor:
    """Mean cross-entropy over the samples of a batch; padding does not count."""
    log_probabilities = F.log_softmax(apply(params, batch.x), dim=-1)
    # As F.cross_entropy to the last bit; under vmap that one runs as slow Python.
    losses = -log_probabilities.gather(-1, batch.y.unsqueeze(-1)).squeeze(-1)
    return (losses * batch.weight).sum() / batch.weight.sum()


@dataclass(frozen=True)
class Sgd:
    """SGD as in ``torch.optim.SGD``; the gradient of each client is first scaled down to norm ``clip_norm``.

    Parameters in ``unclipped`` neither count towards that norm nor are scaled.
    """

    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    unclipped: frozenset[str] = frozenset()


@dataclass(frozen=True)
class BatchPlan:
    """Which samples each step uses, drawn up front from each client's own stream.

    ``indices`` int64 ``[clients, steps, draws, B]`` into the training pool, padded by repeating valid ones;
    ``sizes``, an array ``[clients, steps, draws]`` on the host: how many of the B are real, at least 1.
    """

    indices: Tensor
    sizes: np.ndarray

    @property
    def steps(self) -> int:
        """Number of local steps."""
        return self.indices.shape[1]


def plan_batches(
    members: np.ndarray, steps: int, draws: int, batch_size: int, mode: BatchMode, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one client's batches: indices ``[steps, draws, B]`` and sizes ``[steps, draws]``.

    ``fresh``: each batch is drawn anew without replacement. ``epoch``: shuffled passes; the last batch of a
    pass may be short and is used all the same. A client with fewer than B samples uses all it has.
    """
    wanted, size = steps * draws, min(batch_size, len(members))
    if mode == "fresh":
        order = np.argsort(rng.random((wanted, len(members))), axis=1, kind="stable")[:, :size]
        sizes = np.full(wanted, size)
    else:
        per_pass = -(-len(members) // size)
        passes = -(-wanted // per_pass)
        order = np.argsort(rng.random((passes, len(members))), axis=1, kind="stable")
        order = np.pad(order, ((0, 0), (0, per_pass * size - len(members))), mode="edge").reshape(-1, size)[:wanted]
        sizes = np.tile(np.minimum(size, len(members) - size * np.arange(per_pass)), passes)[:wanted]
    indices = np.pad(members[order], ((0, 0), (0, batch_size - size)), mode="edge")
    return indices.reshape(steps, draws, batch_size), sizes.reshape(steps, draws)


@dataclass(frozen=True)
class TrainRequest:
    """Everything a back-end needs to train a cohort of c clients.

    ``params``, ``momentum``: stacked ``[c, ...]``. ``trainable``: names that SGD moves, the others stay.
    ``aux``: a tree of ``[c, ...]`` tensors handed to the loss, or None; ``memory`` likewise for the rule.
    """

    params: Params
    plan: BatchPlan
    sgd: Sgd
    loss: Loss = cross_entropy
    rule: GradientRule | None = None
    trainable: tuple[str, ...] = ()
    aux: Any = None
    memory: Any = None
    momentum: Params = field(default_factory=Params)


@dataclass(frozen=True)
class Trained:
    """What comes back: stacked parameters, momentum buffers of the trainable ones, and the rule's memory."""

    params: Params
    momentum: Params
    memory: Any = None


def clip_(gradients: Iterable[Tensor], norm: float) -> None:
    """Scale tensors in place so that their joint norm is at most ``norm``, as ``clip_grad_norm_`` does."""
    tensors = list(gradients)
    if tensors:
        total = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
        torch._foreach_mul_(tensors, (norm / (total + 1e-6)).clamp(max=1.0))


def sgd_step_(
    params: Mapping[str, Tensor], gradients: Mapping[str, Tensor], momentum: Mapping[str, Tensor], spec: Sgd
) -> None:
    """One step, in place: clip, add weight decay, update momentum, move. ``gradients`` is overwritten.

    Parameters and momentum buffers must be contiguous: PyTorch's fused kernel walks memory, not shapes.
    """
    ready = {name: gradient.contiguous() for name, gradient in gradients.items()}
    if spec.clip_norm is not None:
        clip_([gradient for name, gradient in ready.items() if name not in spec.unclipped], spec.clip_norm)
    descend_(
        [params[name] for name in ready],
        list(ready.values()),
        [momentum[name] if spec.momentum else None for name in ready],
        spec,
    )


def descend_(params: list[Tensor], gradients: list[Tensor], momentum: list[Tensor | None], spec: Sgd) -> None:
    """Weight decay, momentum and the step itself: one pass over memory with PyTorch's fused kernel."""
    if not all(tensor.is_contiguous() for tensor in (*params, *gradients, *(m for m in momentum if m is not None))):
        raise ValueError("SGD needs contiguous parameters, gradients and momentum buffers")
    with torch.no_grad():
        sgd(
            params,
            gradients,
            momentum,
            fused=True,
            weight_decay=spec.weight_decay,
            momentum=spec.momentum,
            lr=spec.lr,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
