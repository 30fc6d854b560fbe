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
from pfl_bench.client.model import ClientModel
from pfl_bench.client.requests import ComputeRequest, Served, Trained, TrainRequest
from pfl_bench.data.pool import ImagePool
from pfl_bench.engine import places


@dataclass
class Watch:
    """``paid``: mini-batch gradients of all requests. ``backward``: passes of PyTorch's autograd engine so far.

    ``complaints``: what was taken without being paid for, one line each.
    """

    paid: int = 0
    backward: int = 0
    complaints: list[str] = field(default_factory=list)

    def during(self, work: Callable[[], Any]) -> tuple[Any, int]:
        """What ``work`` returns, and the backward passes that it took."""
        before = self.backward
        found = work()
        return found, self.backward - before

    def backend(self, real: Backend) -> Backend:
        """``real`` (it must be ``loop``: there a gradient is one backward pass), watched."""

        def train(model: ClientModel, pool: ImagePool, request: TrainRequest) -> Trained:
            cost = 1 if request.rule is None else request.rule.gradients
            steps = sum(request.plan.steps_of(client) for client in range(request.plan.clients))
            found, taken = self.during(lambda: real.train(model, pool, request))
            self.paid += steps * cost
            if taken > steps * cost:
                name = getattr(
                    request.rule or request.loss, "__qualname__", type(request.rule or request.loss).__name__
                )
                self.complaints.append(
                    f"a step with {name} takes {taken / steps:g} mini-batch gradients and pays for {cost}"
                )
            return found

        def compute(model: ClientModel, pool: ImagePool, request: ComputeRequest) -> tuple[Any, int]:
            found, taken = self.during(lambda: real.compute(model, pool, request))
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
            found, taken = self.during(lambda: real.logits(model, served, x, counts))
            if taken:
                self.complaints.append("predict takes derivatives: it learns from what it should predict")
            return found

        return replace(real, train=train, compute=compute, logits=logits)


def _holds_samples(leaf: Any, pool: ImagePool) -> bool:
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
    """Watch every run in the block that is on the back-end ``loop``."""
    watch = Watch()

    def counted(*args: Any, **kwargs: Any) -> Any:
        watch.backward += 1
        return _engine_run_backward(*args, **kwargs)

    def watched(*request: Any) -> Backend:
        return watch.backend(choose_backend(*request))

    with patch("torch.autograd._engine_run_backward", counted), patch.object(places, "choose_backend", watched):
        yield watch
