"""Images resident on the device, gathered and normalised by index."""

import warnings
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor's copy on a device, without waiting for the work that is queued on a GPU; itself if it is there."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


@dataclass(frozen=True)
class ImagePool:
    """``images`` uint8 ``[N, H, W, C]`` and ``labels`` int64 ``[N]`` on one device.

    ``scale``, ``shift``: float32 ``[H * W * C]``, each channel's value repeated, because arithmetic along a whole
    image is eight times as fast as along three channels. ``host_labels``: the labels as an array on the host.
    """

    images: Tensor
    labels: Tensor
    scale: Tensor
    shift: Tensor
    host_labels: np.ndarray

    @classmethod
    def of(
        cls,
        images: np.ndarray,
        labels: np.ndarray,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: torch.device,
    ) -> "ImagePool":
        """Wrap arrays without a copy on the CPU, so that workers share the object store's memory."""
        with warnings.catch_warnings():  # Ray hands out read-only arrays; nothing here writes to them
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            held = torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device)
        spread = torch.tensor(std, dtype=torch.float32, device=device)
        centre = torch.tensor(mean, dtype=torch.float32, device=device)
        pixels = images.shape[1] * images.shape[2]
        return cls(
            *held, scale=(1 / (255 * spread)).repeat(pixels), shift=(centre / spread).repeat(pixels), host_labels=labels
        )

    @property
    def device(self) -> torch.device:
        """Where the samples live."""
        return self.images.device

    @property
    def values(self) -> int:
        """Numbers per sample."""
        return self.scale.numel()

    @property
    def key(self) -> Hashable:
        """Equal for pools of the same memory."""
        return self.images.data_ptr()

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images ``[*shape, C, H, W]``, normalised float32, and labels ``[*shape]`` for an index tensor ``[*shape]``.

        The channel axis is moved as a view: memory stays channels-last, which convolutions on CPU prefer.
        """
        pixels = self.images.flatten(1).index_select(0, indices.flatten())
        x = pixels.float().mul_(self.scale).sub_(self.shift).view(*indices.shape, *self.images.shape[1:])
        return x.movedim(-1, -3), self.labels[indices]
