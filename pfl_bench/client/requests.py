"""A request is data: back-ends only execute it, so they cannot disagree about randomness."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from .batches import Batch, BatchPlan
from .losses import GradientRule, Loss, cross_entropy
from .net import Net
from .params import Params, Tensors
from .sgd import Sgd

Function = Callable[[Net, Tensors, Batch, Any], Any]
"""``function(net, params, batch, aux) -> tree of tensors``, for one client; pure, and a value as a loss is."""

Predict = Callable[[Net, Tensors, Tensor, Any], Tensor]
"""``predict(net, params, x, aux) -> [B, classes]``, logits or log-probabilities; pure, and a value as a loss is."""


@dataclass(frozen=True)
class TrainRequest:
    """Everything a back-end needs to train a cohort of c clients.

    ``params``, ``momentum``: stacked ``[c, ...]``. ``trainable``: names that SGD moves, the others stay, but for the
    client model's buffers, which follow the batches. ``aux``: a tree of ``[c, ...]`` tensors handed to the loss and
    the rule, or None; ``carry`` likewise, which the rule takes from step to step.
    """

    params: Params
    plan: BatchPlan
    sgd: Sgd
    loss: Loss = cross_entropy
    rule: GradientRule | None = None
    trainable: tuple[str, ...] = ()
    aux: Any = None
    carry: Any = None
    momentum: Params = field(default_factory=Params)


@dataclass(frozen=True)
class Trained:
    """What comes back: stacked parameters, momentum buffers of the trainable ones, the rule's carry, the loss
    that each step saw, ``[c, steps]``, NaN where a client took no step, and how many steps each client took, int64
    ``[c]``: fewer than were asked for where the scenario has stragglers."""

    params: Params
    momentum: Params
    carry: Any = None
    losses: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    steps: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))


@dataclass(frozen=True)
class ComputeRequest:
    """A pure function to be run over the samples of c clients, without learning.

    ``plan``: ``[c, chunks, 1, B]``. ``models``: None, or the number k of models per client, each of which is run
    (``params`` ``[c, k, ...]``). ``reduce``: ``sum`` adds the results of the chunks up; ``rows`` puts them
    behind one another, zeros for padding. ``gradients``: whether the function takes derivatives.
    """

    params: Params
    plan: BatchPlan
    function: Function
    aux: Any = None
    models: int | None = None
    reduce: Literal["sum", "rows"] = "sum"
    gradients: bool = False


@dataclass(frozen=True)
class Served:
    """What clients use to predict: parameters ``[c, ...]`` and, where that is no forward pass, a function of its own.

    ``predict(net, params, x, aux) -> [B, classes]``, logits or log-probabilities, all of them finite: an infinite loss
    ends the run as diverged. ``aux``: a tree of ``[c, ...]``.
    """

    params: Tensors
    predict: Predict | None = None
    aux: Any = None
