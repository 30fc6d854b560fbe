"""Handwritten digits, 8x8 grey, 10 classes: 1,797 real images inside scikit-learn, so it works offline."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pfl_bench.api import ArrayDataset, DataRequest, RequestError, hold_out, make_dataset, register_dataset


@register_dataset("digits", source="Alpaydin and Kaynak 1998, UCI", summary="Handwritten digits, 8x8 grey, 10 classes")
def load(request: DataRequest) -> ArrayDataset:
    """Scale the 17 grey levels to uint8 and hold out a fixed fifth of every class as test images."""
    if request.argument:
        raise RequestError(f"data set 'digits' takes no argument, found {request.argument[:80]!r}")
    table = _table()
    images = np.rint(table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return make_dataset("digits", hold_out("digits", images, table[:, -1].astype(np.int64), 0.2), classes=10)


def _table() -> np.ndarray:
    """64 grey levels and the label of every image, ``[1797, 65]``; scikit-learn's own file where it lies where it has
    lain for years, because to import the library, with pandas and SciPy, takes a second."""
    library = find_spec("sklearn")
    file = Path((library and library.origin) or "").parent / "datasets" / "data" / "digits.csv.gz"
    if file.is_file():
        return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack([digits.data, digits.target])
