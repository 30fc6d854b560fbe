"""FedDBE: a personal bias of the features takes up what is the client's own, so that the shared model need not."""

from dataclasses import dataclass

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Batch,
    Federation,
    LocalSgdConfig,
    Method,
    Net,
    Params,
    Served,
    State,
    Tensors,
    UnsuitedError,
    cross_entropies,
    mean_over,
    register_method,
    stacked,
)

PRBM = "prbm"
"""The name of the personal bias p_i, the personalized representation bias memory, among what is trained."""


def sum_of_features(net: Net, params: Tensors, batch: Batch, aux: None) -> Tensor:
    """Of a client's samples, ``[d]``."""
    return (net.features(params, batch.x) * batch.weight.unsqueeze(-1)).sum(0)


@dataclass(frozen=True)
class Debiased:
    """CE(head(z + p_i)) + kappa mean_d (mean_batch z - zbar)^2 / 2, eq. 4 and 8; ``aux`` is zbar ``[d]``."""

    kappa: float

    def __call__(self, net: Net, params: Tensors, batch: Batch, aux: Tensor) -> Tensor:
        """The loss of one client."""
        shared = Params(params).without([PRBM])
        z = net.features(shared, batch.x)
        mean = (z * batch.weight.unsqueeze(-1)).sum(0) / batch.weight.sum()
        fit = mean_over(batch, cross_entropies(net.head(shared, z + params[PRBM]), batch.y))
        return fit + self.kappa / 2 * (mean - aux).square().mean()


def biased(net: Net, params: Tensors, x: Tensor, aux: Tensor) -> Tensor:
    """head(z + p_i); ``aux`` is p_i."""
    return net.head(params, net.features(params, x) + aux)


@register_method("feddbe", paper="Zhang et al. 2023, NeurIPS, arXiv:2311.14975, algorithm 1", family="body and head")
class FedDbe(Method):
    """FedAvg on CE(head(z + p_i)) + kappa |mean z - zbar|^2 / 2d, with p_i personal and zbar the same for everyone.

    zbar: in an initial round every client trains as in FedAvg from the common start and sends the mean of its
    features; their sample-weighted mean is zbar, the trained models are dropped. That round is in the budget.
    Deviations: the mean of z is the batch's, the paper's mu = 1 (a running mean is not kept); a client sends its mean
    after training, over all its data.
    """

    search_space = {"lr": LEARNING_RATES, "kappa": [1.0, 10.0, 50.0]}

    class Config(LocalSgdConfig):
        """Local SGD, also for p_i; kappa as the authors choose it for a small convolutional network."""

        kappa: NonNegativeFloat = Field(50.0, description="weight of the mean regularization")

    def init(self, fed: Federation) -> State:
        """The shared model, zbar from an initial round, and p_i = 0 per client."""
        if fed.clients > fed.visits:
            raise UnsuitedError(f"visits={fed.visits} do not take FedDBE to each of {fed.clients} clients once")
        server, sums = fed.init_params(), []
        for first in range(0, fed.clients, self.config.cohort):  # a few at a time: memory follows the cohort
            clients = fed.everyone[first : first + self.config.cohort]
            trained = fed.train(fed.send(server, clients), clients, self.config.sgd()).params
            sums.append(fed.compute(sum_of_features, trained, clients))
        means = fed.collect({"zbar": torch.cat(sums) / fed.sizes.unsqueeze(-1)})
        consensus = fed.average(means, fed.everyone)
        fed.send(consensus, fed.everyone)
        return State(
            server=server, consensus=consensus, bias=fed.per_client({PRBM: torch.zeros_like(consensus["zbar"])})
        )

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Train the shared model with the personal bias; average the shared part by sample counts."""
        start = fed.send(state.server, cohort) | state.bias.rows(cohort)
        zbar = stacked(state.consensus, len(cohort))["zbar"]
        trained = fed.train(start, cohort, self.config.sgd(), loss=Debiased(self.config.kappa), aux=zbar).params
        state.server = fed.average(fed.collect(trained.without([PRBM])), cohort)
        state.bias.set_rows(cohort, trained)
        return state

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Served:
        """The shared model with each client's bias of the features."""
        return Served(fed.send(state.server, clients), biased, state.bias.rows(clients)[PRBM])

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Served:
        """Fit a bias under the frozen shared model (the paper has no rule for new clients)."""
        start = fed.send(state.server, clients) | stacked(state.bias.default, len(clients))
        zbar = stacked(state.consensus, len(clients))["zbar"]
        loss, own = Debiased(self.config.kappa), frozenset({PRBM})
        fitted = fed.train(start, clients, self.config.sgd(), loss=loss, aux=zbar, trainable=own).params
        return Served(fitted.without(own), biased, fitted[PRBM])
