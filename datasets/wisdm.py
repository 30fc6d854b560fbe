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
FEATURES, PEOPLE, WINDOWS = 43, 36, 5418
CLASSES = ("Downstairs", "Jogging", "Sitting", "Standing", "Upstairs", "Walking")
LARGEST = float(np.finfo(np.float32).max)


@register_dataset(
    "wisdm", source="Kwapisz, Weiss and Moore 2010", summary="Activities of 36 people, table of 43 features, 6 classes"
)
def load(request: DataRequest) -> ArrayDataset:
    """Read ``wisdm.npz``, made once from the file in the data directory or from the official archive."""
    own = original_file(request, "wisdm", *FILES)

    def fetch(folder: Path) -> Mapping[str, np.ndarray]:
        return read_windows(own or member(download(URL, folder), f"/{FILES[0]}", folder))

    return _dataset(stored_arrays("wisdm", request, fetch, [own], check=_dataset))


def _dataset(arrays: Mapping[str, np.ndarray]) -> ArrayDataset:
    labels, _ = coded("wisdm: labels", arrays["labels"])
    notes = [] if len(labels) == WINDOWS else [f"{len(labels)} windows; the published file has {WINDOWS}"]
    return dataset_of_rows(
        "wisdm", arrays["inputs"], labels, kind="table", groups=arrays["groups"], missing="mean", notes=notes
    )  # fmt: skip


def read_windows(path: Path) -> Mapping[str, np.ndarray]:
    """Features ``[N, 43]`` with NaN where one is missing, activities and people of an ARFF file."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise RequestError(f"{path} is not UTF-8 text") from error
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
            inputs[at], groups[at] = _window(row)
        except ValueError as error:  # RequestError is one
            raise RequestError(f"{path}, line {number}: {error}") from error
    return {"inputs": inputs, "groups": groups, "labels": np.asarray([row[-1].strip() for _, row in rows])}


def _window(row: list[str]) -> tuple[list[float], int]:
    """Features and user of a line's fields."""
    if (activity := row[-1].strip()) not in CLASSES:
        raise RequestError(f"class {shown(activity, 40)} must be one of {', '.join(CLASSES)}")
    if not (user := row[1].strip()).isdecimal() or not 1 <= int(user) <= PEOPLE:
        raise RequestError(f"user {shown(user, 40)} must be a whole number from 1 to {PEOPLE}")
    found = []
    for at, field in enumerate(row[2:-1], 3):
        try:
            found.append(np.nan if field.strip() == "?" else float(field))
        except ValueError as error:
            raise RequestError(f"field {at} is {shown(field, 40)}, which is no number and no ?") from error
        if field.strip() != "?" and not abs(found[-1]) <= LARGEST:
            raise RequestError(f"field {at} is {shown(field, 40)}, which is no finite number; ? is what is missing")
    return found, int(user)
