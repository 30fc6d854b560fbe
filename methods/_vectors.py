"""Clients' parameters as vectors, for what compares clients with each other."""

import torch
from torch import Tensor

from pfl_bench.api import Tensors


def flat(params: Tensors) -> Tensor:
    """All of a client's parameters behind one another: ``[c, ...]`` to ``[c, P]``."""
    return torch.cat([tensor.flatten(1) for tensor in params.values()], dim=1)


def cosines(vectors: Tensor) -> Tensor:
    """Cosine similarities of the rows ``[c, P]``, ``[c, c]``; 0 where a vector is."""
    unit = vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return unit @ unit.T
