"""Handwritten digits, 28x28 grey, 10 classes (LeCun et al. 1998)."""

from pfl_bench.api import ArrayDataset, Arrays, DataRequest, make_dataset, register_dataset, stored_arrays

from ._torchvision import fetch_images


@register_dataset("mnist", source="LeCun et al. 1998", summary="Handwritten digits, 28x28 grey, 10 classes")
def load(request: DataRequest) -> ArrayDataset:
    """Read ``mnist.npz``; torchvision fetches it once. Normalised with the usual channel statistics."""
    return _dataset(stored_arrays("mnist", request, lambda folder: fetch_images("MNIST", folder), check=_dataset))


def _dataset(arrays: Arrays) -> ArrayDataset:
    return make_dataset("mnist", arrays, classes=10, mean=(0.1307,), std=(0.3081,))
