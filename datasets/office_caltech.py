"""Ten kinds of things photographed in four ways, as 800 counts of SURF words (Gong et al. 2012): a feature shift.

A group is a domain: caltech (1,123 pictures), amazon (958), webcam (295), dslr (157). Counts are taken relative to
their sum, as Gong et al. do, because pictures differ in how many words they have. A fifth of every domain is test.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    DataRequest,
    RequestError,
    dataset_of_rows,
    download,
    original_file,
    register_dataset,
    stored_arrays,
)

URL = "https://raw.githubusercontent.com/jtahmores/MDA/master/data/{}_SURF_L10.mat"
DOMAINS = {"Caltech10": 1123, "amazon": 958, "webcam": 295, "dslr": 157}
"""Pictures of each."""

WORDS, CLASSES = 800, 10


@register_dataset(
    "office_caltech", source="Gong et al. 2012", summary="Things in 4 domains, table of 800 SURF words, 10 classes"
)
def load(request: DataRequest) -> ArrayDataset:
    """Read ``office_caltech.npz``, made once from the ``.mat`` files in the data directory or from a public copy."""
    own = {domain: _own(request, domain) for domain in DOMAINS}

    def fetch(folder: Path) -> Mapping[str, np.ndarray]:
        return read_domains([path or download(URL.format(name), folder) for name, path in own.items()])

    return _dataset(stored_arrays("office_caltech", request, fetch, list(own.values()), check=_dataset))


def _dataset(arrays: Mapping[str, np.ndarray]) -> ArrayDataset:
    counts = arrays["inputs"].astype(np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    found = np.bincount(arrays["groups"], minlength=len(DOMAINS)).tolist()
    notes = [
        f"{number} pictures of {domain}; the published file has {published}"
        for (domain, published), number in zip(DOMAINS.items(), found, strict=True)
        if number != published
    ]
    return dataset_of_rows(
        "office_caltech", shares, arrays["labels"], kind="table", groups=arrays["groups"], notes=notes
    )


def _own(request: DataRequest, domain: str) -> Path | None:
    for folder in ("office_caltech", "office_caltech_surf"):
        found = original_file(request, folder, f"{domain}_SURF_L10.mat", f"{domain}.mat")
        if found is not None:
            return found
    return None


def read_domains(files: list[Path]) -> Mapping[str, np.ndarray]:
    """Counts uint8 ``[N, 800]``, classes from 0 and domains of MATLAB files with ``fts`` and ``labels``."""
    from scipy.io import loadmat

    counts, labels = [], []
    for path in files:
        try:
            found = loadmat(path, variable_names=["fts", "labels"])
            fts, own = np.asarray(found["fts"]), np.asarray(found["labels"]).ravel()
        except Exception as error:  # scipy raises whatever damaged bytes lead to
            raise RequestError(f"{path} is no MATLAB file with the arrays fts and labels") from error
        if (
            fts.ndim != 2
            or not len(fts)
            or fts.shape[1] != WORDS
            or len(own) != len(fts)
            or own.dtype.kind not in "iuf"
        ):
            raise RequestError(f"{path}: fts {fts.shape} and labels {own.shape}; they must be [N, {WORDS}] and [N]")
        if fts.dtype.kind not in "iuf" or not ((fts >= 0) & (fts <= 255) & (fts == np.floor(fts))).all():
            raise RequestError(f"{path}: fts must be counts from 0 to 255")
        if not np.isin(own, np.arange(1, CLASSES + 1)).all():
            raise RequestError(f"{path}: labels must be whole numbers from 1 to {CLASSES}")
        counts.append(fts.astype(np.uint8))
        labels.append(own.astype(np.int64) - 1)
    domains = np.repeat(np.arange(len(files)), [len(own) for own in labels])
    return {"inputs": np.concatenate(counts), "labels": np.concatenate(labels), "groups": domains}
