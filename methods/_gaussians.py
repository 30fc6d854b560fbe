"""Class Gaussians of one covariance: their Bayes classifier, and how much of a client's own estimate to trust."""

import numpy as np
import scipy  # loads optimize when it is asked for, half a second that runs of other methods need not wait
import torch
import torch.nn.functional as F
from torch import Tensor

SMOOTHING = 1e-4
"""Of class shares, and the share of an isotropic covariance of the same trace."""


def lda(mean: Tensor, cov: Tensor, prior: Tensor) -> dict[str, Tensor]:
    """W = Sigma^-1 mu, b = log pi - <mu, W> / 2, for ``mean`` ``[..., C, d]`` and ``cov`` ``[..., d, d]``."""
    weight = torch.linalg.solve(smoothed(cov), mean.mT).mT
    return {"weight": weight, "bias": prior.log() - (mean * weight).sum(-1) / 2}


def smoothed(cov: Tensor) -> Tensor:
    """A covariance with a share of an isotropic one; linear in ``cov`` ``[..., d, d]``."""
    eye = torch.eye(cov.shape[-1], dtype=cov.dtype, device=cov.device)
    scale = cov.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    return (1 - SMOOTHING) * cov + SMOOTHING * scale * eye


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
    own = [gaussians(*part, shared[0]) for part in parts]
    if not all(mean.isfinite().all() and cov.isfinite().all() for mean, cov in (*own, shared)):
        return z.new_zeros(2)  # the run has diverged, which its losses will say
    held = [
        (*_in_common_axes(estimate, shared, apart), labels)
        for estimate, (apart, labels) in zip(own, reversed(parts), strict=True)
    ]

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        found = [_loss_and_slope(at, *each, prior.log()) for each in held]
        return sum(value for value, _ in found), sum((slope for _, slope in found), np.zeros(2))

    box, most = [(0, 1)] * 2, {"maxiter": 10}
    found = scipy.optimize.minimize(loss, np.full(2, 0.5), jac=True, method="L-BFGS-B", bounds=box, options=most)
    return torch.from_numpy(found.x)


def _loss_and_slope(
    share: np.ndarray, spread: Tensor, own: Tensor, shared: Tensor, z: Tensor, y: Tensor, prior: Tensor
) -> tuple[float, np.ndarray]:
    """Cross-entropy of ``z`` under the mixed Gaussians in common axes, and its derivative by both shares.

    With D = share_1 lambda + 1 - share_1 and mu = share_0 own + (1 - share_0) shared: W = mu / D and
    b = ``prior`` - <mu, W> / 2, ``prior`` in logarithms.
    """
    apart, stretch = own - shared, spread - 1
    inverse = 1 / (1 + share[1] * stretch)
    mean = shared + share[0] * apart
    weight = mean * inverse
    chances = F.linear(z, weight, prior - (mean * weight).sum(1) / 2).log_softmax(1)
    error = (chances.exp() - F.one_hot(y, len(prior))) / len(y)
    toward = error.T @ z * inverse - error.sum(0).unsqueeze(1) * weight
    by_mean = (toward * apart).sum()
    by_spread = -((toward + error.sum(0).unsqueeze(1) * weight / 2) * weight * stretch).sum()
    return float(F.nll_loss(chances, y)), np.asarray([float(by_mean), float(by_spread)])


def _in_common_axes(
    own: tuple[Tensor, Tensor], shared: tuple[Tensor, Tensor], z: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Both covariances made diagonal at once, the shared one 1: then any mixture of them is inverted in d divisions.

    V^T S V = 1 and V^T C V = diag(lambda) for the smoothed S and C; lambda ``[d]``, and in the axes V both means
    ``[C, d]`` and features ``[n, d]``.
    """
    root = torch.linalg.cholesky(smoothed(shared[1]))
    half = torch.linalg.solve_triangular(root, smoothed(own[1]), upper=False)
    spread, turned = torch.linalg.eigh(torch.linalg.solve_triangular(root, half.mT, upper=False))
    axes = torch.linalg.solve_triangular(root.mT, turned, upper=True)
    return spread, own[0] @ axes, shared[0] @ axes, z @ axes
