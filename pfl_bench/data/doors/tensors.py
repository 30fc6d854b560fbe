"""A split's samples as tensors, for whoever trains in PyTorch elsewhere."""

import torch
from torch import Tensor

from pfl_bench.data.pool import make_pool

from .split import Split


def client_tensors(split: Split, part: str, client: int) -> tuple[Tensor, Tensor]:
    """A client's samples of ``train``, ``validation`` or ``test`` as our client models receive them: float32,
    standardised, ``[n, *dataset.input.shape]`` (tokens int64), and labels int64 ``[n]``."""
    pool = make_pool(split.dataset, "test" if part == "test" else "train", torch.device("cpu"))
    return pool.gather(torch.from_numpy(getattr(split.partition, part)[client]))
