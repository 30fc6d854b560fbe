"""``npz:PATH``: your own arrays in one ``.npz`` file."""

import re
from pathlib import Path

from pfl_bench.api import ArrayDataset, DataRequest, RequestError, make_dataset, read_npz, register_dataset

READ = {f"{split}_{key}" for split in ("train", "test") for key in ("images", "labels", "groups")}
OTHER_PARTS = re.compile(r"(train|test|val|valid|validation|dev|extra|unlabel+ed)([_.]|$)", re.IGNORECASE)


@register_dataset("npz", source="a file of yours", summary="npz:PATH with train/test images (uint8) and labels")
def load(request: DataRequest) -> ArrayDataset:
    """Read ``train_images``, ``train_labels``, ``test_images``, ``test_labels`` and, where there are any,
    ``train_groups`` and ``test_groups``.

    An array that would be part of another split (``val_images``) is refused; others that are not used are noted.
    """
    if not request.argument:
        raise RequestError("data set 'npz' needs a path: npz:PATH")
    path = Path(request.argument)
    name = f"npz:{path}"
    arrays = read_npz(path, name)
    unused = sorted(set(arrays) - READ)
    for key in unused:
        if OTHER_PARTS.match(key):
            raise RequestError(
                f"{name}: array {key[:80]!r} would not be used; join validation samples to the training part, of which "
                "validation is held out, or take the array out of the file"
            )
    listed = ", ".join(repr(key[:80]) for key in unused[:5]) + (", ..." if len(unused) > 5 else "")
    notes = [f"{len(unused)} arrays of the file are not used: {listed}"] if unused else []
    grouped = any(key.endswith("_groups") for key in READ & set(arrays))
    return make_dataset(name, arrays, groups="groups" if grouped else None, notes=notes)
