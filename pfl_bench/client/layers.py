"""Layers whose training differs from their use: dropout and batch normalisation, the same on every back-end.

Dropout draws from a seed per sample, so it does not matter who else is in a batch, in a cohort or in a process. Batch
normalisation leaves padding out of its statistics. Both take effect where a module calls PyTorch's own functions.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_MASK = 0xFFFFFFFF
_PER_ELEMENT = (F.dropout,)
_PER_CHANNEL = (F.dropout1d, F.dropout2d, F.dropout3d)


def uniform(seeds: Tensor, call: int, shape: tuple[int, ...]) -> Tensor:
    """Numbers in [0, 1) ``[B, *shape]`` from a seed per sample ``[B]`` and the number of the call: a 32-bit hash.

    Counter-based (as Salmon et al. 2011), so a number depends on its sample and place alone. The mixer is Wellons'
    lowbias32.
    """
    place = torch.arange(math.prod(shape), device=seeds.device).view(1, *shape)
    mixed = (seeds.view(-1, *[1] * len(shape)) + place * 0x9E3779B1 + call * 0x85EBCA6B) & _MASK
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        mixed = ((mixed ^ (mixed >> shift)) * factor) & _MASK
    return (mixed ^ (mixed >> 16)).float() / 2.0**32


def masked_batch_norm(
    x: Tensor, mean: Tensor | None, var: Tensor | None, weight: Tensor | None, bias: Tensor | None,
    momentum: float, eps: float, counts: Tensor,
) -> Tensor:  # fmt: skip
    """Batch normalisation of ``[B, C, ...]`` by the statistics of the samples with ``counts`` ``[B]`` 1.

    ``mean`` and ``var``, running figures ``[C]``, are updated in place. A single value has variance 0.
    """
    per_channel = (1, -1, *[1] * (x.dim() - 2))
    over = [0, *range(2, x.dim())]
    share = counts.view(-1, *[1] * (x.dim() - 1))
    n = counts.sum() * math.prod(x.shape[2:])
    centre = (x * share).sum(over) / n
    spread = ((x - centre.view(per_channel)).square() * share).sum(over) / n
    if mean is not None and var is not None:
        mean.mul_(1 - momentum).add_(momentum * centre.detach())
        var.mul_(1 - momentum).add_(momentum * (spread * n / (n - 1).clamp(min=1)).detach())
    normal = (x - centre.view(per_channel)) * torch.rsqrt(spread.view(per_channel) + eps)
    if weight is not None and bias is not None:
        normal = normal * weight.view(per_channel) + bias.view(per_channel)
    return normal


class Layers(TorchFunctionMode):
    """The context in which a client model with such layers is applied.

    ``noise``: a seed per sample ``[B]``; ``counts``: 1 for a sample, 0 for padding, ``[B]``; None where no sample is
    padding, so that PyTorch's own batch normalisation is right.
    """

    def __init__(self, noise: Tensor | None, counts: Tensor | None) -> None:
        super().__init__()
        self.noise, self.counts, self.calls = noise, counts, 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace what draws random numbers or mixes the samples of a batch."""
        kwargs = kwargs or {}
        if func in _PER_ELEMENT or func in _PER_CHANNEL:
            return self._dropout(*args, **kwargs, whole_channels=func in _PER_CHANNEL)
        if func is F.batch_norm:
            return self._batch_norm(*args, **kwargs)
        if func is F.scaled_dot_product_attention and (kwargs.get("dropout_p") or (args[4:] or (0.0,))[0]) > 0:
            return self._attention(*args, **kwargs)
        return func(*args, **kwargs)

    def _dropout(
        self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, whole_channels: bool = False
    ) -> Tensor:
        if not training or p == 0:
            return x
        if self.noise is None or len(x) != len(self.noise):
            has = "no" if self.noise is None else str(len(self.noise))
            raise ValueError(f"dropout got {len(x)} rows; its first axis must be the batch's, which has {has} seeds")
        self.calls += 1
        shape = (x.shape[1], *[1] * (x.dim() - 2)) if whole_channels else tuple(x.shape[1:])
        return x * (uniform(self.noise, self.calls, shape) >= p) / (1 - p) if p < 1 else x * 0

    def _batch_norm(
        self, x: Tensor, mean: Tensor | None, var: Tensor | None, weight: Tensor | None = None,
        bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
    ) -> Tensor:  # fmt: skip
        if training and (self.counts is not None or x.numel() == x.shape[1]):
            counts = self.counts if self.counts is not None else x.new_ones(len(x))
            return masked_batch_norm(x, mean, var, weight, bias, momentum, eps, counts)
        return F.batch_norm(x, mean, var, weight, bias, training, momentum, eps)

    def _attention(
        self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
        is_causal: bool = False, scale: float | None = None, **_: Any,
    ) -> Tensor:  # fmt: skip
        """Attention with dropout on its weights, which PyTorch's kernels draw from a stream of their own."""
        scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)
        if is_causal:
            attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
        if attn_mask is not None:
            boolean = attn_mask.dtype == torch.bool
            scores = scores.masked_fill(~attn_mask, -torch.inf) if boolean else scores + attn_mask
        return self._dropout(scores.softmax(-1), dropout_p) @ v
