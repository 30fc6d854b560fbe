"""Arithmetic of the client model: float32, or bfloat16 as ``torch.autocast`` does it.

Weights, gradients between layers and SGD stay float32. Where a CPU has no bfloat16 units, PyTorch's kernels are
many times slower than float32; there the same values are rounded and the products are computed in float32.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pfl_bench.spec.scenario import Precision

_ROUNDED = (F.linear, F.conv1d, F.conv2d, F.conv3d, torch.conv1d, torch.conv2d, torch.conv3d, torch.matmul)


class Rounded(TorchFunctionMode):
    """Linear and convolutional layers with inputs, weights and outputs rounded to bfloat16; gradients likewise."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Round around the layers that autocast would run in bfloat16."""
        kwargs = kwargs or {}
        if func not in _ROUNDED:
            return func(*args, **kwargs)
        return _round(func(*map(_round, args), **{name: _round(value) for name, value in kwargs.items()}))


def _round(value: Any) -> Any:
    """Forth and back; so does the gradient go on its way."""
    return value.bfloat16().float() if isinstance(value, Tensor) and value.is_floating_point() else value


@cache
def has_bf16_units() -> bool:
    """Whether this CPU multiplies bfloat16 faster than float32 (AVX512-BF16, AMX, or the like)."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def arithmetic(precision: Precision, device_type: str) -> AbstractContextManager[Any]:
    """The context in which a client model is applied."""
    if precision == "fp32":
        return nullcontext()
    if device_type == "cpu" and not has_bf16_units():
        return Rounded()
    return torch.autocast(device_type, torch.bfloat16)
