"""pFedFDA: the head is the Bayes classifier of class Gaussians, between the client's own and everybody's."""

from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
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
    cross_entropies,
    mean_over,
    register_method,
)

from ._gaussians import SMOOTHING, fitted_shares, gaussians, lda, mixed
from ._prototypes import labelled_features


def logits(head: Tensors, z: Tensor) -> Tensor:
    """A linear head's outputs."""
    return F.linear(z, head["weight"], head["bias"])


def lda_loss(net: Net, params: Tensors, batch: Batch, head: Tensors) -> Tensor:
    """Cross-entropy of the body's features under a head that stays."""
    return mean_over(batch, cross_entropies(logits(head, net.features(params, batch.x)), batch.y))


def lda_predict(net: Net, params: Tensors, x: Tensor, head: Any) -> Tensor:
    """Logits of the body's features under the client's head."""
    return logits(head, net.features(params, x))


@register_method("pfedfda", paper="McLaughlin & Su 2024, NeurIPS, arXiv:2411.00329, algorithm 1", family="features")
class PFedFDA(Method):
    """body <- SGD under LDA(mu, Sigma, pi_i); (mu_i, Sigma_i) = beta_i (own estimate) + (1 - beta_i) (mu, Sigma).

    LDA: W = Sigma^-1 mu, b = log pi - <mu, W> / 2. beta_i is one share for the means and one for the covariance, chosen
    by two-fold cross-validation. Bodies and (mu_i, Sigma_i) are averaged by samples; served is LDA(mu_i, Sigma_i, pi_i)
    on the received body. From the authors' code: the covariance plus I. Deviations: features are those under the
    trained body, once each, a class needs two of them for a mean of its own (three there, counted over epochs), and the
    shares are bounded by [0, 1], not clipped to it.
    """

    version = 2
    moment = "adapted"
    search_space = {"lr": LEARNING_RATES}

    class Config(LocalSgdConfig):
        """Local SGD of the body."""

        share: float | None = Field(None, ge=0, le=1, description="beta, of both; default: fitted per client")

    def init(self, fed: Federation) -> State:
        """A shared body; means from U(0, 1) and the identity as covariance. The client model's head is not used."""
        body, _ = fed.split(fed.init_params())
        size = fed.model.feature_size
        mean = torch.from_numpy(fed.generator("means").uniform(size=(fed.classes, size))).float().to(fed.device)
        return State(body=body, gaussians=Params(mean=mean, cov=torch.eye(size, device=fed.device)))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Train the body under the shared Gaussians' head, estimate, mix, average."""
        body, shared = fed.send(state.body, cohort), fed.send(state.gaussians, cohort)
        head = lda(shared["mean"], shared["cov"], self.prior(fed, cohort))
        body = fed.train(body, cohort, self.config.sgd(), loss=lda_loss, aux=head).params
        up = fed.average(fed.collect(body | self.adapted(fed, body, shared, cohort)), cohort)
        state.body, state.gaussians = up.only(state.body), up.only(state.gaussians)
        return state

    def prior(self, fed: Federation, clients: Tensor) -> Tensor:
        """Class shares, none of them 0, ``[c, C]``."""
        shares = fed.class_counts[clients] / fed.sizes[clients].unsqueeze(1) + SMOOTHING
        return shares / shares.sum(1, keepdim=True)

    def adapted(self, fed: Federation, body: Params, shared: Params, clients: Tensor) -> Params:
        """mu_i and Sigma_i, ``[c, ...]``, each client's on the host, where its shares are fitted."""
        rows = fed.compute(labelled_features, body, clients, reduce="rows")
        rows = {name: tensor.cpu() for name, tensor in rows.items()}
        priors, found = self.prior(fed, clients).cpu().double(), []
        for i, prior in enumerate(priors):
            real = rows["real"][i] > 0
            z, y = rows["z"][i][real].double(), rows["y"][i][real]
            given = shared["mean"][i].cpu().double(), shared["cov"][i].cpu().double()
            fixed = self.config.share
            share = fitted_shares(z, y, given, prior) if fixed is None else torch.full((2,), fixed, dtype=z.dtype)
            found.append(mixed(share, gaussians(z, y, given[0]), given))
        mean, cov = (torch.stack(each).float().to(fed.device) for each in zip(*found, strict=True))
        return Params(mean=mean, cov=cov)

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Served:
        """The received body under the head of each client's Gaussians; no local step."""
        body = fed.send(state.body, clients)
        own = self.adapted(fed, body, fed.send(state.gaussians, clients), clients)
        return Served(body, lda_predict, lda(own["mean"], own["cov"], self.prior(fed, clients)))

    enroll = adapt
