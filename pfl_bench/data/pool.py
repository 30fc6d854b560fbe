"""Samples resident on the device, gathered and standardised by index: one protocol, a class per way of keeping them."""

import warnings
import weakref
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from .dataset import ArrayDataset
from .inputs import InputSpec


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor's copy on a device, without waiting for the work that is queued on a GPU; itself if it is there."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


class Pool(Protocol):
    """The samples of a split on one device, as back-ends, evaluation and enrolment take them.

    ``host_labels``: the labels as an array on the host.
    """

    @property
    def device(self) -> torch.device:
        """Where the samples live."""

    @property
    def input(self) -> InputSpec:
        """What a sample is."""

    @property
    def values(self) -> int:
        """Numbers per sample."""

    @property
    def key(self) -> Hashable:
        """Equal for pools of the same memory, inputs and labels: a concept shift changes the labels alone."""

    @property
    def host_labels(self) -> np.ndarray:
        """Labels ``[N]``."""

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Samples ``[*shape, *input.shape]``, standardised float32, of tokens int64, and labels ``[*shape]`` for an
        index tensor ``[*shape]``."""


@dataclass(frozen=True)
class _Held:
    """``inputs`` ``[N, ...]`` as they are kept and ``labels`` int64 ``[N]`` on one device."""

    input: InputSpec
    inputs: Tensor
    labels: Tensor
    host_labels: np.ndarray

    @property
    def device(self) -> torch.device:
        """Where the samples live."""
        return self.inputs.device

    @cached_property
    def values(self) -> int:
        """Numbers per sample."""
        return self.inputs[0].numel()

    @property
    def key(self) -> Hashable:
        """Equal for pools of the same memory, inputs and labels."""
        return self.inputs.data_ptr(), self.labels.data_ptr()

    def rows(self, indices: Tensor) -> Tensor:
        """Samples as they are kept, flat, ``[number of indices, values]``."""
        return self.inputs.flatten(1).index_select(0, indices.flatten())


READY_VALUES = 2**24
"""Values of all images up to which they are kept standardised too, in four times the memory of uint8 (64 MiB)."""


@dataclass(frozen=True)
class ImagePool(_Held):
    """uint8 images ``[N, H, W, C]``.

    ``scale``, ``shift``: float32 ``[H * W * C]``, each channel's value repeated, because arithmetic along a whole
    image is eight times as fast as along three channels.
    """

    scale: Tensor
    shift: Tensor

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images ``[*shape, C, H, W]``, normalised float32, and labels ``[*shape]`` for an index tensor ``[*shape]``.

        The channel axis is moved as a view: memory stays channels-last, which convolutions on CPU prefer.
        """
        found = (
            self._standardised(self.rows(indices))
            if self._ready is None
            else self._ready.index_select(0, indices.flatten())
        )
        return found.view(*indices.shape, *self.inputs.shape[1:]).movedim(-1, -3), self.labels[indices]

    def _standardised(self, pixels: Tensor) -> Tensor:
        return pixels.float().mul_(self.scale).sub_(self.shift)

    @cached_property
    def _ready(self) -> Tensor | None:
        """All images, standardised, flat, where they are few and on the CPU: to gather them is then one operation."""
        few = self.inputs.numel() <= READY_VALUES and self.device.type == "cpu"
        return self._standardised(self.inputs.flatten(1)) if few else None


@dataclass(frozen=True)
class FloatPool(_Held):
    """Float32 images ``[N, H, W, C]``, series ``[N, time, channels]`` and tables ``[N, features]``.

    ``mean``, ``scale``: float32, repeated along a sample. The mean is subtracted first, so that a feature far from 0
    keeps its digits.
    """

    mean: Tensor
    scale: Tensor

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Samples, standardised, with the channels of images and series first, and labels ``[*shape]``."""
        x = self.rows(indices).sub_(self.mean).mul_(self.scale).view(*indices.shape, *self.inputs.shape[1:])
        axes = self.inputs.dim() - 1
        return x.movedim(-1, -axes) if axes > 1 else x, self.labels[indices]


@dataclass(frozen=True)
class TokenPool(_Held):
    """Tokens ``[N, length]``."""

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens int64 ``[*shape, length]`` and labels ``[*shape]``."""
        return self.rows(indices).long().view(*indices.shape, *self.inputs.shape[1:]), self.labels[indices]


def make_pool(dataset: ArrayDataset, split: str, device: torch.device) -> Pool:
    """The pool of ``train`` or ``test``. On the CPU it has no copy of the arrays, so that workers share the object
    store's memory."""
    inputs, labels = getattr(dataset, f"{split}_inputs"), getattr(dataset, f"{split}_labels")
    return pool_of(dataset.input, inputs, labels, dataset.mean, dataset.std, device)


def pool_of(
    input: InputSpec, inputs: np.ndarray, labels: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...],
    device: torch.device,
) -> Pool:  # fmt: skip
    """Wrap arrays as ``ArrayDataset`` keeps them."""
    with warnings.catch_warnings():  # Ray hands out read-only arrays; nothing here writes to them
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        held = _there(inputs, device), _there(labels, device)
    if input.kind == "tokens":
        return TokenPool(input, *held, labels)
    spread = torch.tensor(std, dtype=torch.float32, device=device)
    centre = torch.tensor(mean, dtype=torch.float32, device=device)
    each = inputs[0].size // len(mean)
    if inputs.dtype == np.uint8:
        return ImagePool(input, *held, labels, (1 / (255 * spread)).repeat(each), (centre / spread).repeat(each))
    return FloatPool(input, *held, labels, centre.repeat(each), (1 / spread).repeat(each))


_UPLOADED: dict[tuple[int, torch.device], tuple["weakref.ref[np.ndarray]", "weakref.ref[Tensor]"]] = {}


def _there(array: np.ndarray, device: torch.device) -> Tensor:
    """An array as a tensor on a device; runs of a process share one copy for as long as one of them has it."""
    if device.type == "cpu":
        return torch.from_numpy(array)
    source, copy = _UPLOADED.get((id(array), device), (None, None))
    found = copy() if source is not None and copy is not None and source() is array else None
    if found is None:
        found = torch.from_numpy(array).to(device)
        key = id(array), device
        _UPLOADED[key] = weakref.ref(array), weakref.ref(found, lambda _: _UPLOADED.pop(key, None))
    return found
