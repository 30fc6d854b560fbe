"""FedDecomp: every weight matrix is a shared one of full rank plus a personal one of low rank."""

from typing import Any

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Batch,
    Federation,
    LocalSgdConfig,
    Method,
    Net,
    Params,
    State,
    Tensors,
    UnsuitedError,
    cross_entropy,
    register_method,
    stacked,
)

A, B = "A of ", "B of "
"""Before the names of weights, for their factors."""


def composed(params: Tensors) -> dict[str, Tensor]:
    """One client's sigma + B A / r, out of sigma and the factors; a kernel's r counts channels of height k."""
    weights = {name: tensor for name, tensor in params.items() if not name.startswith((A, B))}
    for name in [name for name in weights if A + name in params]:
        kernel = weights[name].shape[-1] if weights[name].dim() == 4 else 1
        product = params[B + name] @ params[A + name] * (kernel / len(params[A + name]))
        weights[name] = weights[name] + product.view_as(weights[name])
    return weights


def composed_loss(net: Net, params: Tensors, batch: Batch, aux: Any) -> Tensor:
    """Cross-entropy of the sum."""
    return cross_entropy(net, composed(params), batch)


@register_method("feddecomp", paper="Wu et al. 2024, ACM MM, arXiv:2406.19931, algorithm 1", family="mixture")
class FedDecomp(Method):
    """W_i = sigma + B_i A_i / r: steps on A_i, B_i under the received sigma, then on sigma; the mean of sigma goes on.

    For a kernel ``[o, i, k, k]`` B is ``[o k, r k]`` and A ``[r k, i k]`` with r a share of o, as in LoRA; biases
    and vectors have no personal part. B starts at 0, A as a linear layer does, the same for everybody. Running figures
    are averaged. Deviation: the mean is of the cohort (the authors' code goes on averaging over all clients, also those
    that did not train). A rank above a matrix's own is cut to that.
    """

    search_space = {"lr": LEARNING_RATES, "personal_share": [0.2, 0.4, 0.6], "linear_rank": [2, 4, 16]}

    class Config(LocalSgdConfig):
        """The authors' figures for CIFAR-10; of a visit's 5 epochs 2 are on the low-rank part."""

        personal_share: float = Field(0.4, gt=0, lt=1, description="share of a visit's local steps for A_i and B_i")
        conv_rank: NonNegativeFloat = Field(0.6, description="r of a convolution, as a share of its output channels")
        linear_rank: NonNegativeInt = Field(4, description="r of a linear layer; 0: nothing personal")

    def init(self, fed: Federation) -> State:
        """sigma, and factors per client whose product is 0."""
        server, rng, factors = fed.init_params(), fed.generator("factors"), {}
        for name, shape in fed.model.shapes.items():
            if len(shape) not in (2, 4):
                continue
            height, width = (shape[0] * shape[2], shape[1] * shape[3]) if len(shape) == 4 else shape
            rank = int(self.config.conv_rank * shape[0]) * shape[2] if len(shape) == 4 else self.config.linear_rank
            if rank := min(rank, height, width):
                drawn = rng.uniform(-1, 1, (rank, width)) / width**0.5
                factors[A + name] = torch.from_numpy(drawn).float().to(fed.device)
                factors[B + name] = torch.zeros(height, rank, device=fed.device)
        return State(server=server, factors=fed.per_client(factors))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Low-rank steps, then steps on sigma, which is averaged."""
        own_steps = round(self.config.personal_share * fed.local_steps)
        if not 0 < own_steps < fed.local_steps:
            raise UnsuitedError(f"local_steps={fed.local_steps} cannot be divided between FedDecomp's two parts")
        start = fed.send(state.server, cohort) | state.factors.rows(cohort)
        fitted = self.fit(fed, start, cohort, frozenset(state.factors), own_steps)
        trained = self.fit(fed, fitted, cohort, fed.model.trainable, fed.local_steps - own_steps)
        state.server = fed.average(fed.collect(trained.only(state.server)), cohort, "uniform")
        state.factors.set_rows(cohort, trained)
        return state

    def fit(
        self, fed: Federation, start: Params, clients: Tensor, moves: frozenset[str], steps: int | None = None
    ) -> Params:
        """Local steps on one of the two parts."""
        sgd = self.config.sgd()
        return fed.train(start, clients, sgd, steps=steps, loss=composed_loss, trainable=moves).params

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The sums W_i."""
        return summed(fed.send(state.server, clients) | state.factors.rows(clients))

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit fresh factors under the received sigma."""
        start = fed.send(state.server, clients) | stacked(state.factors.default, len(clients))
        return summed(self.fit(fed, start, clients, frozenset(state.factors)))


def summed(params: Params) -> Params:
    """``composed`` for several clients, ``[c, ...]``."""
    return Params(torch.func.vmap(composed)(dict(params)))
