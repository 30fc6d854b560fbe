"""Data of your own that lie in no common file: a function from a request to arrays, with groups as clients."""

import numpy as np

from pfl_bench.api import ArrayDataset, DataRequest, dataset_of_rows, register_dataset


@register_dataset("machines", source="made here", summary="Vibrations of eight machines at three speeds")
def machines(request: DataRequest) -> ArrayDataset:
    """1200 series of 32 points in time; a machine sounds its own way at every speed."""
    rng = np.random.default_rng(0)
    speed, machine = rng.integers(0, 3, 1200), np.arange(1200) % 8
    time = np.arange(32)[None, :, None]
    pitch = (speed + 1 + machine / 8)[:, None, None]
    waves = np.sin(time * pitch / 5 + rng.uniform(0, 6, (1200, 1, 1)))
    noisy = np.concatenate([waves, waves**2], axis=2) + rng.normal(0, 0.3, (1200, 32, 2))
    return dataset_of_rows("machines", noisy, speed, kind="series", groups=machine)
