"""Masks over single weights: which of them are a client's own. FedSelect and FedCAC."""

import torch
from torch import Tensor

from pfl_bench.api import Params, Tensors


def greatest(scores: Tensor, counts: Tensor) -> Tensor:
    """Per client its ``counts[i]`` entries of greatest score, bool ``[c, ...]``; of equal ones the first."""
    rank = scores.flatten(1).argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return (rank < counts.unsqueeze(1)).view_as(scores)


def merged(mask: Tensors, own: Tensors, shared: Params) -> Params:
    """``own`` where the mask is 1 and ``shared`` elsewhere, also for names that have no mask."""
    return shared | {name: torch.where(mine, own[name], shared[name]) for name, mine in mask.items()}
