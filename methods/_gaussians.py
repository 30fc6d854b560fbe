"""Class Gaussians of one covariance: their Bayes classifier, and how much of a client's own estimate to trust."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from torch import Tensor

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
