"""Features of a client's samples and class prototypes, their means; FedProto and FedPAC share these."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pfl_bench.api import Batch, Federation, Net, Params, Tensors, cross_entropies, mean_over


def feature_sums(net: Net, params: Tensors, batch: Batch, aux: Any = None) -> dict[str, Tensor]:
    """Per class the sum of its features ``[classes, d]``, and the sum of all their squares, a scalar."""
    z = net.features(params, batch.x) * batch.weight.unsqueeze(1)
    return {"sums": F.one_hot(batch.y, net.model.classes).to(z.dtype).T @ z, "squares": z.square().sum()}


def labelled_features(net: Net, params: Tensors, batch: Batch, aux: Any = None) -> dict[str, Tensor]:
    """Per sample: features ``[B, d]``, label ``[B]``, and 1 to tell it from padding ``[B]``."""
    return {"z": net.features(params, batch.x), "y": batch.y, "real": batch.weight}


@dataclass(frozen=True)
class Aligned:
    """Mean of CE + lam / d ||z - P_y||^2 over the samples; without the pull where there is no P_y yet."""

    lam: float

    def __call__(self, net: Net, params: Tensors, batch: Batch, prototypes: Tensors) -> Tensor:
        """The loss of one client; ``prototypes`` as made by ``no_prototypes``."""
        z = net.features(params, batch.x)
        pull = (z - prototypes["mean"][batch.y]).square().mean(1) * prototypes["known"][batch.y]
        return mean_over(batch, cross_entropies(net.head(params, z), batch.y) + self.lam * pull)


def no_prototypes(fed: Federation) -> Params:
    """``mean`` ``[classes, d]`` and ``known`` ``[classes]``: 1 where some client has had the class, 0 elsewhere."""
    mean = torch.zeros(fed.classes, fed.model.feature_size, device=fed.device)
    return Params(mean=mean, known=torch.zeros(fed.classes, device=fed.device))


def merged(prototypes: Params, sums: Tensor, counts: Tensor) -> Params:
    """Means over a cohort's samples, from ``[c, classes, d]`` and ``[c, classes]``; classes it lacks keep theirs."""
    total = counts.sum(0)
    fresh = sums.sum(0) / total.clamp(min=1).unsqueeze(1)
    mean = torch.where((total > 0).unsqueeze(1), fresh, prototypes["mean"])
    return Params(mean=mean, known=torch.maximum(prototypes["known"], (total > 0).float()))
