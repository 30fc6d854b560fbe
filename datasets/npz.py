"""``npz:PATH``: your own arrays in one ``.npz`` file."""

from pathlib import Path

from pfl_bench.api import ArrayDataset, DataRequest, RequestError, make_dataset, read_npz, register_dataset


@register_dataset("npz", source="a file of yours", summary="npz:PATH with train/test images (uint8) and labels")
def load(request: DataRequest) -> ArrayDataset:
    """Read ``train_images``, ``train_labels``, ``test_images``, ``test_labels`` and, where there are any,
    ``train_groups`` and ``test_groups``."""
    if not request.argument:
        raise RequestError("data set 'npz' needs a path: npz:PATH")
    path = Path(request.argument)
    arrays = read_npz(path, f"npz:{path}")
    return make_dataset(f"npz:{path}", arrays, groups="groups" if "train_groups" in arrays else None)
