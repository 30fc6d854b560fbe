"""FedEM: every client's data are a mixture of the same few distributions, each of which has a shared model."""

from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field, PositiveInt
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
)

from ._several import independent_models


def sample_losses(net: Net, params: Tensors, batch: Batch, aux: None) -> Tensor:
    """Cross-entropy per sample, ``[B]``."""
    return cross_entropies(net(params, batch.x), batch.y)


def log_posterior(log_pi: Tensor, losses: Tensor) -> Tensor:
    """log q_jm = log pi_m - l(theta_m; x_j, y_j) less what makes it sum to 1, ``[..., M, n]``; pi is ``[..., M]``."""
    return torch.log_softmax(log_pi.unsqueeze(-1) - losses, dim=-2)


def each_model(params: Tensors) -> list[dict[str, Tensor]]:
    """The M models of one client."""
    return [dict(zip(params, model, strict=True)) for model in zip(*params.values(), strict=True)]


@dataclass(frozen=True)
class PosteriorLoss:
    """Mean of q_jm l(theta_m; x_j, y_j), with q of the received models, which do not move."""

    m: int

    def __call__(self, net: Net, params: Tensors, batch: Batch, aux: Any) -> Tensor:
        """The loss of one client's model m; ``aux`` has the received ``models`` and ``log_pi``."""
        losses = sample_losses(net, params, batch, None)
        received = torch.stack([sample_losses(net, model, batch, None) for model in each_model(aux["models"])])
        return mean_over(batch, log_posterior(aux["log_pi"], received)[self.m].exp() * losses)


def mixed_prediction(net: Net, params: Tensors, x: Tensor, log_pi: Tensor) -> Tensor:
    """log sum_m pi_m softmax(theta_m(x))."""
    each = torch.stack([net(model, x).log_softmax(-1) for model in each_model(params)])
    return torch.logsumexp(log_pi.view(-1, 1, 1) + each, dim=0)


@register_method("fedem", paper="Marfoq et al. 2021, NeurIPS, arXiv:2108.10252, algorithm 1", family="mixture")
class FedEm(Method):
    """q_jm ~ pi_im exp(-l(theta_m; x_j, y_j)); pi_im <- mean_j q_jm; theta_m <- SGD on sum_j q_jm l, averaged by n_i.

    Predictions mix probabilities. Deviations: a visit's local steps are divided among the M models, so that FedEM
    costs what the others cost; its E-step, M passes over all local data, is counted as forward samples, and what the
    steps need of q they compute again instead of keeping it. The mean is of the cohort (the authors' code also takes
    in the last models of clients that are away).
    """

    search_space = {"lr": LEARNING_RATES, "models": [2, 3]}

    class Config(LocalSgdConfig):
        """Local SGD; M as in the paper."""

        models: PositiveInt = Field(3, description="M, number of shared models; 1 is FedAvg")

    def init(self, fed: Federation) -> State:
        """M models from independent initial weights, and pi_i = 1 / M."""
        count = self.config.models
        pi = fed.per_client({"pi": torch.full((count,), 1 / count, device=fed.device)})
        return State(models=independent_models(fed, count), pi=pi)

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """E-step, new pi_i, and the M-step model by model."""
        count = self.config.models
        if count > fed.local_steps:
            raise UnsuitedError(f"local_steps={fed.local_steps} cannot be divided among FedEM's {count} models")
        sent = fed.send(state.models, cohort)
        before = state.pi.rows(cohort)["pi"]
        state.pi.set_rows(cohort, {"pi": self.weights(fed, sent, before, cohort)})
        aux, trained = {"models": sent, "log_pi": log(before)}, []
        for m in range(count):
            steps = fed.local_steps // count + (m < fed.local_steps % count)
            own = Params({k: models[:, m] for k, models in sent.items()})
            done = fed.train(own, cohort, self.config.sgd(), steps=steps, loss=PosteriorLoss(m), aux=aux)
            trained.append(fed.collect(done.params))
        means = [fed.average(own, cohort) for own in trained]
        state.models = Params({k: torch.stack([mean[k] for mean in means]) for k in state.models})
        return state

    def weights(self, fed: Federation, sent: Params, pi: Tensor, clients: Tensor, times: int = 1) -> Tensor:
        """pi after so many E-steps on all of the clients' data under the same models, ``[c, M]``."""
        losses = fed.compute(sample_losses, sent, clients, models=self.config.models, reduce="rows")
        sizes = fed.sizes[clients].view(-1, 1, 1)
        real = torch.arange(losses.shape[2], device=fed.device) < sizes
        for _ in range(times):
            pi = (log_posterior(log(pi), losses).exp() * real).sum(2) / sizes[:, 0]
        return pi

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Served:
        """All models under the client's last pi."""
        sent = fed.send(state.models, clients)
        return Served(sent, mixed_prediction, log(state.pi.rows(clients)["pi"]))

    def client_clusters(self, fed: Federation, state: State, clients: Tensor) -> Tensor:
        """The model that weighs most in each client's mixture."""
        return state.pi.rows(clients)["pi"].argmax(1)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Served:
        """Fit pi alone, by ten E-steps."""
        sent = fed.send(state.models, clients)
        pi = self.weights(fed, sent, state.pi.default["pi"].expand(len(clients), -1), clients, times=10)
        return Served(sent, mixed_prediction, log(pi))


def log(pi: Tensor) -> Tensor:
    """The logarithm, finite also where a model has no weight left."""
    return pi.clamp(min=1e-12).log()
