"""FedPAC: features aligned with shared class prototypes, and heads combined by a quadratic programme."""

import numpy as np
import scipy  # loads optimize when it is asked for, half a second that runs of other methods need not wait
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Federation,
    LocalSgdConfig,
    Method,
    Params,
    State,
    UnsuitedError,
    register_method,
)

from ._prototypes import Aligned, feature_sums, merged, no_prototypes

LEAST_WEIGHT = 1e-3
"""Smaller weights of a head are dropped, as in the official code."""


def head_weights(h: Tensor, variance: Tensor) -> Tensor:
    """Row i: argmin over the simplex of a^T (diag V + D_i) a, with D_i[j, l] = <h_i - h_j, h_i - h_l>: ``[c, c]``.

    ``h`` ``[c, classes, d]``: class shares times class means; ``variance`` V ``[c]``. The minimiser is proportional to
    the b >= 0 that minimises b^T Q b / 2 - sum b, which is a least-squares problem. On the host: it waits for the GPU.
    """
    features, noise = h.flatten(1).cpu().double().numpy(), variance.cpu().double().numpy()
    rows = []
    for own in features:
        apart = own - features
        q = np.diag(noise) + apart @ apart.T
        q = q / max(np.trace(q), 1e-30) + 1e-9 * np.eye(len(q))  # a client with one sample has no variance
        root, ones = scipy.linalg.cholesky(q, lower=True), np.ones(len(q))
        a, _ = scipy.optimize.nnls(root.T, scipy.linalg.solve_triangular(root, ones, lower=True))
        a = np.where(a < LEAST_WEIGHT * a.sum(), 0.0, a)
        rows.append(a / a.sum())
    return torch.from_numpy(np.stack(rows)).to(h)


@register_method("fedpac", paper="Xu et al. 2023, ICLR, arXiv:2306.11867, algorithm 1", family="features")
class FedPac(Method):
    """Head steps on the received body; body steps with F_i + lam mean_j ||z_j - P_y||^2 / d; heads a_i-mixed.

    As in the official code the statistics of a_i are those of the received body, the prototypes those of the trained
    one, and both phases have a learning rate of their own. The phases divide a visit's steps; 1 epoch to 5 there. A
    class that has no prototype yet does not pull; there it pulls to the client's own.
    """

    search_space = {"lr": LEARNING_RATES, "lam": [0.1, 1.0]}

    class Config(LocalSgdConfig):
        """``lr`` is the body's."""

        head_lr: PositiveFloat = Field(0.1, description="learning rate of the head")
        head_share: float = Field(0.2, gt=0, lt=1, description="share of a visit's steps for the head")
        lam: NonNegativeFloat = Field(1.0, description="pull of features towards their prototype")

    def init(self, fed: Federation) -> State:
        """A shared body, a head per client, and no prototypes yet."""
        body, head = fed.split(fed.init_params())
        return State(body=body, heads=fed.per_client(head), prototypes=no_prototypes(fed))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Statistics, head, body, statistics; then bodies are averaged, prototypes merged, heads combined."""
        steps = max(1, round(self.config.head_share * fed.local_steps))
        if steps >= fed.local_steps:
            raise UnsuitedError(f"local_steps={fed.local_steps} cannot be divided between head and body")
        start = fed.send(state.body, cohort) | fed.send_each(state.heads.rows(cohort))
        prototypes = fed.send(state.prototypes, cohort)
        h, variance = self.statistics(fed, start, cohort)
        start = self.with_own_head(fed, start, cohort, steps)
        sgd, loss, steps = self.config.sgd(), Aligned(self.config.lam), fed.local_steps - steps
        body = fed.model.body
        trained = fed.train(start, cohort, sgd, steps=steps, loss=loss, aux=prototypes, trainable=body).params
        after = fed.compute(feature_sums, trained, cohort)["sums"]
        up = fed.collect(trained | {"h": h, "variance": variance, "sums": after, "counts": fed.class_counts[cohort]})
        state.body = fed.average(up.only(state.body), cohort)
        state.prototypes = merged(state.prototypes, up["sums"], up["counts"])
        weights = head_weights(up["h"], up["variance"])
        state.heads.set_rows(cohort, up.only(state.heads).map(lambda heads: torch.tensordot(weights, heads, dims=1)))
        return state

    def statistics(self, fed: Federation, params: Params, clients: Tensor) -> tuple[Tensor, Tensor]:
        """h, class shares times class means ``[c, classes, d]``, and V, the features' variance over n_i ``[c]``."""
        found, n = fed.compute(feature_sums, params, clients), fed.sizes[clients]
        h = found["sums"] / n.view(-1, 1, 1)
        return h, (found["squares"] / n - h.square().sum((1, 2))).clamp(min=0) / n

    def with_own_head(self, fed: Federation, start: Params, clients: Tensor, steps: int | None = None) -> Params:
        """Train the head on a frozen body."""
        sgd = self.config.sgd().but(fed.model.head, lr=self.config.head_lr)
        return fed.train(start, clients, sgd, steps=steps, trainable=fed.model.head, stream="head").params

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The shared body under each client's combined head."""
        return fed.send(state.body, clients) | state.heads.rows(clients)

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The same after the head's steps, with which a visit begins."""
        return self.with_own_head(fed, self.client_params(fed, state, clients), clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit a fresh head under the shared body."""
        start = fed.send(state.body | fed.init_params().only(state.heads), clients)
        return self.with_own_head(fed, start, clients)
