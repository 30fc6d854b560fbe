"""pFedFDA: the head is the Bayes classifier of class Gaussians, between the client's own and everybody's."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from scipy.optimize import minimize
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

from ._prototypes import labelled_features

SMOOTHING = 1e-4
"""Of class shares, and the share of an isotropic covariance of the same trace."""


def lda(mean: Tensor, cov: Tensor, prior: Tensor) -> dict[str, Tensor]:
    """W = Sigma^-1 mu, b = log pi - <mu, W> / 2, for ``mean`` ``[..., C, d]`` and ``cov`` ``[..., d, d]``."""
    eye = torch.eye(cov.shape[-1], dtype=cov.dtype, device=cov.device)
    scale = cov.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    weight = torch.linalg.solve((1 - SMOOTHING) * cov + SMOOTHING * scale * eye, mean.mT).mT
    return {"weight": weight, "bias": prior.log() - (mean * weight).sum(-1) / 2}


def gaussians(z: Tensor, y: Tensor, fallback: Tensor) -> tuple[Tensor, Tensor]:
    """Class means ``[C, d]``, those of classes with one sample or none from ``fallback``, and covariance plus I."""
    labels = F.one_hot(y, len(fallback)).to(z.dtype)
    counts = labels.sum(0)
    mean = torch.where(counts.unsqueeze(1) > 1, labels.T @ z / counts.clamp(min=1).unsqueeze(1), fallback)
    apart = z - mean[y]
    return mean, apart.T @ apart / max(1, len(z) - 1) + torch.eye(z.shape[1], dtype=z.dtype)


def mixed(share: Tensor, own: tuple[Tensor, Tensor], shared: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """share_k own_k + (1 - share_k) shared_k, for means and covariance."""
    mean, cov = (s * a + (1 - s) * b for s, a, b in zip(share, own, shared, strict=True))
    return mean, cov


def fitted_shares(z: Tensor, y: Tensor, shared: tuple[Tensor, Tensor], prior: Tensor) -> Tensor:
    """The two shares that minimise the cross-entropy on either half of the samples of Gaussians fitted to the other.

    Halves are stratified; classes with one sample are left out. Without any other: 0. L-BFGS from 1/2, ten iterations.
    """
    alike = y.unsqueeze(1) == y
    half, kept = alike.tril(-1).sum(1) % 2, alike.sum(1) > 1
    if not kept.any():
        return z.new_zeros(2)
    parts = [(z[kept & (half == own)], y[kept & (half == own)]) for own in (0, 1)]
    means, covs = (torch.stack(each) for each in zip(*(gaussians(*part, shared[0]) for part in parts), strict=True))

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        share = torch.from_numpy(at).requires_grad_()
        with torch.enable_grad():
            heads = lda(*mixed(share, (means, covs), shared), prior)
            held = [(*part, row) for part, row in zip(parts[::-1], zip(*heads.values(), strict=True), strict=True)]
            total = torch.stack([F.cross_entropy(F.linear(z, *head), y) for z, y, head in held]).sum()
            (slope,) = torch.autograd.grad(total, share)
        return total.item(), slope.numpy()

    found = minimize(loss, np.full(2, 0.5), jac=True, method="L-BFGS-B", bounds=[(0, 1)] * 2, options={"maxiter": 10})
    return torch.from_numpy(found.x)


def logits(head: Tensors, z: Tensor) -> Tensor:
    """A linear head's outputs."""
    return F.linear(z, head["weight"], head["bias"])


def lda_loss(net: Net, params: Tensors, batch: Batch, head: Tensors) -> Tensor:
    """Cross-entropy of the body's features under a head that stays."""
    return mean_over(batch, cross_entropies(logits(head, net.features(params, batch.x)), batch.y))


def lda_predict(net: Net, params: Tensors, x: Tensor, head: Any) -> Tensor:
    """Logits of the body's features under the client's head."""
    return logits(head, net.features(params, x))


@register_method("pfedfda", paper="McLaughlin & Su 2024, NeurIPS, algorithm 1", family="features")
class PFedFDA(Method):
    """body <- SGD under LDA(mu, Sigma, pi_i); (mu_i, Sigma_i) = beta_i (own estimate) + (1 - beta_i) (mu, Sigma).

    LDA: W = Sigma^-1 mu, b = log pi - <mu, W> / 2. beta_i is one share for the means and one for the covariance, chosen
    by two-fold cross-validation. Bodies and (mu_i, Sigma_i) are averaged by samples; served is LDA(mu_i, Sigma_i, pi_i)
    on the received body. From the authors' code: the covariance plus I. Deviations: features are those under the
    trained body, once each, and the shares are bounded by [0, 1], not clipped to it.
    """

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
        priors, found = self.prior(fed, clients).double().cpu(), []
        for i, prior in enumerate(priors):
            real = rows["real"][i] > 0
            z, y = rows["z"][i][real].double(), rows["y"][i][real]
            given = shared["mean"][i].double().cpu(), shared["cov"][i].double().cpu()
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
