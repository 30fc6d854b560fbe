"""Shoulder exercises seen by a wrist watch, 50 samples a second on six axes, 7 exercises, 10 people.

Burns et al. 2018. Read from the package ``seglearn`` (BSD): 140 recordings of one exercise each. They are cut into
windows of 2.56 seconds without overlap: series of 6 channels and 128 points in time. A group is a person. The last
fifth of every recording is test, the last fifth of what is before it validation, so that no moment is both trained and
tested on.
"""

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    DataRequest,
    RequestError,
    dataset_of_rows,
    last_of_groups,
    one_line,
    register_dataset,
)

from ._packages import no_argument, package_file

WINDOW, AXES = 128, 6


@register_dataset("watch", source="Burns et al. 2018, arXiv:1802.01489",
                  summary="Shoulder exercises of 10 people, series of 6 channels, 7 classes")  # fmt: skip
def load(request: DataRequest) -> ArrayDataset:
    """Read the recordings and cut them."""
    no_argument("watch", request)
    path = package_file("watch", "seglearn", "data", "watch_dataset.npy")
    try:
        data = np.load(path, allow_pickle=True).item()  # the package's own file
        signals, classes, people = ([np.asarray(each) for each in data[key]] for key in ("X", "y", "subject"))
    except Exception as error:
        raise RequestError(f"watch: {path} is not the file it was: {one_line(error)}") from error
    if not len(signals) == len(classes) == len(people) or any(s.ndim != 2 or s.shape[1] != AXES for s in signals):
        raise RequestError(f"watch: {path} is not the file it was: its recordings do not have {AXES} axes")
    counts = np.asarray([len(signal) // WINDOW for signal in signals])
    inputs = np.concatenate([s[: n * WINDOW].reshape(n, WINDOW, AXES) for s, n in zip(signals, counts, strict=True)])
    recording = np.repeat(np.arange(len(signals)), counts)
    test = last_of_groups(recording, 0.2)
    part = np.where(test, "test", "train").astype("<U10")
    part[np.flatnonzero(~test)[last_of_groups(recording[~test], 0.2)]] = "validation"
    return dataset_of_rows(
        "watch", inputs, np.asarray(classes, dtype=np.int64)[recording], kind="series", splits=part,
        groups=np.asarray(people, dtype=np.int64)[recording],
        notes=["the last fifth of every recording is test, the last fifth of what is before it validation"],
    )  # fmt: skip
