"""FedAS: a client draws the received body to the features it knows, and counts by its Fisher information."""

from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Batch,
    Federation,
    Method,
    Net,
    Params,
    Sgd,
    State,
    Tensors,
    UnsuitedError,
    cross_entropy,
    register_method,
)

from ._personal_part import parted, received, untrained
from ._prototypes import feature_sums, no_prototypes
from ._server_optimizer import ServerConfig


def apart(net: Net, params: Tensors, batch: Batch, own: Tensors) -> Tensor:
    """Sum over the classes of a batch of mean (z - P_y)^2, where the client has a P_y; ``own`` are its prototypes."""
    pull = (net.features(params, batch.x) - own["mean"][batch.y]).square().mean(1) * own["known"][batch.y]
    member = F.one_hot(batch.y, net.model.classes).to(pull.dtype)
    return ((batch.weight * pull) @ member / (batch.weight @ member).clamp(min=1)).sum()


def fisher_trace(net: Net, params: Tensors, batch: Batch, aux: Any) -> Tensor:
    """The squared norm of a batch's gradient, a scalar."""

    def loss(moving: Tensors) -> Tensor:
        return cross_entropy(net, {**params, **moving}, batch)

    found = torch.func.grad(loss)({k: p for k, p in params.items() if k in net.model.trainable})
    return torch.stack([g.square().sum() for g in found.values()]).sum()


@register_method("fedas", paper="Yang et al. 2024, CVPR (FedAS), section 3, and its code", family="body and head")
class FedAs(Method):
    """body_i: the received one after steps towards P_i, the class means of the features of i's last visit; then SGD.

    Bodies are averaged by the trace of the clients' Fisher information, the sum of |g|^2 over batches after training.
    As in the authors' code, heads are personal and start from the common one. Deviations: a visit's steps are divided
    (an epoch each to align and to measure, five to train, there); P_i are kept instead of the body they are from,
    and a client without a last visit, for which the code aligns with its random start, does not align. There clients
    align the server's own body one after another, each where the one before left it; here everybody begins at it.
    """

    moment = "adapted"
    search_space = {"lr": LEARNING_RATES, "align_lr": [0.1, 0.03, 0.01]}

    class Config(ServerConfig):
        """Local SGD; plain SGD with a rate of its own to align."""

        align_lr: PositiveFloat = Field(0.01, description="learning rate of the alignment")
        align_share: float = Field(0.14, gt=0, lt=0.5, description="share of a visit's steps for the alignment")
        fisher_share: float = Field(0.14, gt=0, lt=0.5, description="share of a visit's steps for the Fisher trace")

    def init(self, fed: Federation) -> State:
        """A shared body, a head per client, and no prototypes yet."""
        state = parted(fed, self.config, fed.model.head)
        state.prototypes = fed.per_client(no_prototypes(fed))
        return state

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Align, train, remember the features, measure; average the bodies by what was measured."""
        batches = max(1, round(self.config.fisher_share * fed.local_steps))
        start, own = received(fed, state, cohort), state.prototypes.rows(cohort)
        trained = self.visit(fed, start, own, cohort, fed.local_steps - batches)
        trace = fed.compute(fisher_trace, trained, cohort, over=batches, gradients=True)
        bodies, traces = fed.collect(trained.only(state.body)), fed.collect({"trace": trace + 1e-12})["trace"]
        mean = bodies.map(lambda own: torch.tensordot(traces / traces.sum(), own, dims=1))
        state.body = self.config.server_step(fed, state, state.body, mean)
        state.heads.set_rows(cohort, trained)
        counts = fed.class_counts[cohort]
        means = fed.compute(feature_sums, trained, cohort)["sums"] / counts.clamp(min=1).unsqueeze(2)
        state.prototypes.set_rows(cohort, {"mean": means, "known": (counts > 0).float()})
        return state

    def visit(self, fed: Federation, start: Params, own: Params, clients: Tensor, steps: int) -> Params:
        """Draw the body to the client's prototypes, then train body and head."""
        first = max(1, round(self.config.align_share * fed.local_steps))
        if steps <= first:
            raise UnsuitedError(f"local_steps={fed.local_steps} are too few to align, to train and to measure")
        sgd, body = Sgd(self.config.align_lr), fed.model.body
        aligned = fed.train(start, clients, sgd, steps=first, loss=apart, aux=own, trainable=body, stream="align")
        return fed.train(aligned.params, clients, self.config.sgd(), steps=steps - first).params

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The shared body under each client's stored head."""
        return received(fed, state, clients)

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """As a visit: align and train."""
        start, own = received(fed, state, clients), state.prototypes.rows(clients)
        return self.visit(fed, start, own, clients, fed.local_steps)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Train body and head; there is nothing to align with."""
        return fed.train(untrained(fed, state, clients), clients, self.config.sgd()).params
