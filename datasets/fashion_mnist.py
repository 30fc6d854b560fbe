"""Fashion articles, 28x28 grey, 10 classes (Xiao et al. 2017, arXiv:1708.07747)."""

from pfl_bench.api import ArrayDataset, Arrays, DataRequest, make_dataset, register_dataset, stored_arrays

from ._torchvision import fetch_images


@register_dataset(
    "fashion_mnist",
    source="Xiao et al. 2017, arXiv:1708.07747",
    summary="Fashion articles, 28x28 grey, 10 classes",
)
def load(request: DataRequest) -> ArrayDataset:
    """Read ``fashion_mnist.npz``; torchvision fetches it once. Normalised with the usual channel statistics."""
    return _dataset(
        stored_arrays("fashion_mnist", request, lambda folder: fetch_images("FashionMNIST", folder), check=_dataset)
    )


def _dataset(arrays: Arrays) -> ArrayDataset:
    return make_dataset("fashion_mnist", arrays, classes=10, mean=(0.2860,), std=(0.3530,))
