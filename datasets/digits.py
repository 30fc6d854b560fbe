"""Handwritten digits, 8x8 grey, 10 classes: 1,797 real images inside scikit-learn, so it works offline."""

import numpy as np

from pfl_bench.api import ArrayDataset, DataRequest, RequestError, hold_out, make_dataset, register_dataset


@register_dataset("digits", source="Alpaydin and Kaynak 1998, UCI", summary="Handwritten digits, 8x8 grey, 10 classes")
def load(request: DataRequest) -> ArrayDataset:
    """Scale the 17 grey levels to uint8 and hold out a fixed fifth of every class as test images."""
    if request.argument:
        raise RequestError(f"data set 'digits' takes no argument, found {request.argument[:80]!r}")
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    return make_dataset("digits", hold_out("digits", images, digits.target.astype(np.int64), 0.2), classes=10)
