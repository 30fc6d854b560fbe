"""A back-end that is watched: what a run was asked to pay for, and what it took."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.autograd.graph import _engine_run_backward
from torch.utils import _pytree as pytree

from pfl_bench.client.backends import Backend, choose_backend
from pfl_bench.client.backends.traced import untraced
from pfl_bench.client.model import ClientModel
from pfl_bench.client.net import Net
from pfl_bench.client.requests import ComputeRequest, Served, Trained, TrainRequest
from pfl_bench.data.pool import Pool
from pfl_bench.engine import places

MOST_PASSES = 8
"""Passes of a batch through a client model that one gradient may need: contrasts and several heads, not a training."""


@dataclass
class Watch:
    """``paid``: mini-batch gradients of all requests. ``backward``: passes of PyTorch's autograd engine so far.

    ``complaints``: what was taken without being paid for, one line each.
    """

    paid: int = 0
    backward: int = 0
    batch: int | None = None
    passes: int = 0
    complaints: list[str] = field(default_factory=list)

    def during(self, work: Callable[[], Any]) -> tuple[Any, int]:
        """What ``work`` returns, and the backward passes that it took."""
        before = self.backward
        found = work()
        return found, self.backward - before

    def complain(self, what: str) -> None:
        """Once each."""
        if what not in self.complaints:
            self.complaints.append(what)

    def passed(self, part: str, x: Tensor) -> None:
        """A client model, or its body, was applied to ``x`` ``[B, ...]``."""
        self.passes += 1
        if part == "head":
            return
        if self.batch is None:
            self.complain("the client model is applied to inputs outside fed.train, fed.compute and predict")
        elif len(x) > self.batch:
            self.complain(f"{len(x)} inputs at once pass through the client model, where a batch has {self.batch}")

    def backend(self, real: Backend) -> Backend:
        """``real`` (it must be ``loop``: there a gradient is one backward pass), watched."""

        def train(model: ClientModel, pool: Pool, request: TrainRequest) -> Trained:
            cost = 1 if request.rule is None else request.rule.gradients
            steps = sum(request.plan.steps_of(client) for client in range(request.plan.clients))
            self.batch, self.passes = int(request.plan.sizes.max()), 0
            found, taken = self.during(lambda: real.train(model, pool, request))
            self.batch = None
            self.paid += steps * cost
            if self.passes > MOST_PASSES * max(1, steps * cost):
                self.complain(
                    f"a loss passes a batch through the model {self.passes / (steps * cost):g} times a gradient"
                )
            if taken > steps * cost:
                name = getattr(
                    request.rule or request.loss, "__qualname__", type(request.rule or request.loss).__name__
                )
                self.complaints.append(
                    f"a step with {name} takes {taken / steps:g} mini-batch gradients and pays for {cost}"
                )
            return found

        def compute(model: ClientModel, pool: Pool, request: ComputeRequest) -> tuple[Any, int]:
            self.batch = len(pool.host_labels)
            found, taken = self.during(lambda: real.compute(model, pool, request))
            self.batch = None
            batches = int((request.plan.sizes > 0).sum()) * (request.models or 1)
            self.paid += batches * request.gradients
            if taken > batches * request.gradients:
                self.complaints.append(
                    f"fed.compute takes {taken} gradients and pays for {batches * request.gradients}"
                )
            if any(_holds_samples(leaf, pool) for leaf in pytree.tree_leaves(found[0])):
                self.complaints.append("fed.compute hands out the training samples themselves")
            return found

        def logits(model: ClientModel, served: Served, x: Tensor, counts: Tensor) -> Tensor:
            self.batch = x.shape[1]
            found, taken = self.during(lambda: real.logits(model, served, x, counts))
            self.batch = None
            if taken:
                self.complaints.append("predict takes derivatives: it learns from what it should predict")
            return found

        return replace(real, train=train, compute=compute, logits=logits)


def _holds_samples(leaf: Any, pool: Pool) -> bool:
    """Whether a result has a sample of the pool somewhere in its last axes."""
    if not isinstance(leaf, Tensor) or leaf.numel() < pool.values or leaf.numel() % pool.values:
        return False
    for axis in range(leaf.dim()):
        if leaf.shape[axis:].numel() == pool.values:
            samples, _ = pool.gather(torch.arange(len(pool.host_labels)))
            rows = leaf.reshape(-1, pool.values).float()
            return bool((rows[:, None] == samples.reshape(1, -1, pool.values)).all(-1).any())
    return False


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch every run in the block that is on the back-end ``loop``; no step is replayed, which nobody would see."""
    watch = Watch()

    def counted(*args: Any, **kwargs: Any) -> Any:
        watch.backward += 1
        return _engine_run_backward(*args, **kwargs)

    def watched(*request: Any) -> Backend:
        return watch.backend(choose_backend(*request))

    real_apply = Net._apply

    def applied(net: Net, part: str, params: Any, x: Tensor) -> Tensor:
        watch.passed(part, x)
        return real_apply(net, part, params, x)

    with (
        untraced(),
        patch("torch.autograd._engine_run_backward", counted),
        patch.object(places, "choose_backend", watched),
        patch.object(Net, "_apply", applied),
    ):
        yield watch
