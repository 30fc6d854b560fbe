"""Photographs, 32x32 RGB, 10 classes (Krizhevsky 2009)."""

from pfl_bench.api import ArrayDataset, Arrays, DataRequest, make_dataset, register_dataset, stored_arrays

from ._torchvision import fetch_images


@register_dataset("cifar10", source="Krizhevsky 2009", summary="Photographs, 32x32 RGB, 10 classes")
def load(request: DataRequest) -> ArrayDataset:
    """Read ``cifar10.npz``; torchvision fetches it once. Normalised with the usual channel statistics."""
    return _dataset(stored_arrays("cifar10", request, lambda folder: fetch_images("CIFAR10", folder), check=_dataset))


def _dataset(arrays: Arrays) -> ArrayDataset:
    return make_dataset("cifar10", arrays, classes=10, mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))
