"""Activities from a phone's accelerometer: 43 features per 10 seconds, 6 activities, 36 people (Kwapisz et al. 2010).

The transformed file of WISDM's activity recognition data, version 1.1: 30 shares of histogram bins, averages, distances
of peaks, absolute and standard deviations, and the mean resultant. Missing distances (``?``) are filled with the
training mean. A group is a person. Windows have no time stamps, so that test and validation are each a fifth of every
person's windows at random. A person may lack activities. Free for research with citation.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    DataRequest,
    RequestError,
    coded,
    dataset_of_rows,
    download,
    member,
    original_file,
    register_dataset,
    shown,
    stored_arrays,
)

URL = "https://www.cis.fordham.edu/wisdm/includes/datasets/latest/WISDM_ar_latest.tar.gz"
FILES = ("WISDM_ar_v1.1_transformed.arff", "wisdm_transformed.arff")
FEATURES = 43


@register_dataset(
    "wisdm", source="Kwapisz, Weiss and Moore 2010", summary="Activities of 36 people, table of 43 features, 6 classes"
)
def load(request: DataRequest) -> ArrayDataset:
    """Read ``wisdm.npz``, made once from the file in the data directory or from the official archive."""
    own = original_file(request, "wisdm", *FILES)

    def fetch(folder: Path) -> Mapping[str, np.ndarray]:
        return read_windows(own or member(download(URL, folder), f"/{FILES[0]}", folder))

    arrays = stored_arrays("wisdm", request, fetch, [own] if own else [])
    labels, _ = coded("wisdm: labels", arrays["labels"])
    return dataset_of_rows(
        "wisdm", arrays["inputs"], labels, kind="table", groups=arrays["groups"], missing="mean"
    )  # fmt: skip


def read_windows(path: Path) -> Mapping[str, np.ndarray]:
    """Features ``[N, 43]`` with NaN where one is missing, activities and people of an ARFF file."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    start = next((i for i, line in enumerate(lines) if line.strip().lower() == "@data"), None)
    if start is None:
        raise RequestError(f"{path} is no ARFF file: it has no line @data")
    rows = [(i, line.split(",")) for i, line in enumerate(lines[start + 1 :], start + 2) if line.strip()]
    for number, row in rows:
        if len(row) != FEATURES + 3:
            raise RequestError(f"{path}, line {number}: {len(row)} fields; an id, the user, 43 features and the class")
    if not rows:
        raise RequestError(f"{path} has no sample")
    inputs, groups = np.empty((len(rows), FEATURES)), np.empty(len(rows), np.int64)
    for at, (number, row) in enumerate(rows):
        try:
            inputs[at] = [np.nan if field.strip() == "?" else float(field) for field in row[2:-1]]
            groups[at] = int(row[1])
        except ValueError as error:
            raise RequestError(f"{path}, line {number}: {shown(str(error), 120)}") from error
    return {"inputs": inputs, "groups": groups, "labels": np.asarray([row[-1].strip() for _, row in rows])}
