"""An export read back: the same arrays, the same partition, or a refusal."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import SPLITS
from pfl_bench.errors import RequestError, one_line, shown

from .formats import find_format
from .layout import as_recorded, sample_shape
from .manifest import JSON, Manifest, has_manifest, read_manifest
from .split import Holding, Split, data_hash


def read_split(folder: Path) -> Split:
    """What ``export_split`` wrote, in whichever form. RequestError if its samples or its partition are not those.

    ``dataset.sha256`` is the source's where nothing was shifted, so that runs on the export are runs on the same data.
    """
    if not has_manifest(folder):
        what = "does not exist" if not folder.exists() else f"has no {JSON}"
        raise RequestError(f"{shown(str(folder), 200)} {what}; it is no folder that 'data export' wrote")
    manifest = read_manifest(folder)
    form = find_format(manifest.format)
    try:
        dataset = _assembled(folder, manifest, form.read(folder, manifest))
        manifest.partition.check(dataset)
    except RequestError:
        raise
    except Exception as error:  # what libraries raise for damaged files has no common base
        raise RequestError(f"{folder}: is not readable as {manifest.format}: {one_line(error)}") from error
    return Split(manifest.scenario, manifest.seed, dataset, manifest.partition)


def _assembled(folder: Path, manifest: Manifest, holding: Holding) -> ArrayDataset:
    """The data set of which the clients hold samples; its hash must be the recorded one."""
    arrays = {}
    for part, splits in (("train", SPLITS[:2]), ("test", SPLITS[2:])):
        rows = [own for split in splits for own in getattr(manifest.partition, split)]
        inputs = [_inputs(folder, manifest, samples) for split in splits for samples, _ in holding[split]]
        labels = [_labels(folder, own) for split in splits for _, own in holding[split]]
        rows.append(_rest(manifest, f"{part}_rest"))
        inputs.append(_rest(manifest, f"{part}_rest_inputs").reshape(-1, *sample_shape(manifest.input)))
        labels.append(_rest(manifest, f"{part}_rest_labels"))
        place = np.concatenate(rows)
        if not np.array_equal(np.sort(place), np.arange(len(place))) or [*map(len, rows)] != [*map(len, labels)]:
            raise RequestError(f"{folder}: the clients' samples are not as many as {JSON} says; export anew")
        order = np.argsort(place)
        arrays[part] = np.concatenate(inputs)[order], np.concatenate(labels)[order]
    (train, train_labels), (test, test_labels), facts = arrays["train"], arrays["test"], manifest.facts
    rest = manifest.rest
    found = ArrayDataset(
        f"exported:{folder}", train, train_labels, test, test_labels, facts["classes"], facts["mean"], facts["std"],
        manifest.source_sha256, manifest.input, validation_share=facts["validation_share"],
        held_out_within=facts["held_out_within"], train_groups=rest.get("train_groups"),
        test_groups=rest.get("test_groups"), validation=rest.get("validation"),
    )  # fmt: skip
    if (own := data_hash(found)) != manifest.data_sha256:
        raise RequestError(
            f"{folder}: its samples are not those that were exported: SHA-256 is {own[:12]}, {JSON} says "
            f"{shown(manifest.data_sha256[:12])}; export anew"
        )
    return found if own == manifest.source_sha256 or not manifest.partition.groups else replace(found, sha256=own)


def _inputs(folder: Path, manifest: Manifest, values: np.ndarray) -> np.ndarray:
    if values.shape[1:] != sample_shape(manifest.input):
        raise RequestError(f"{folder}: samples have shape {values.shape[1:]}, exported were {manifest.input}")
    return as_recorded(folder, values, manifest.dtype)


def _labels(folder: Path, values: np.ndarray) -> np.ndarray:
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise RequestError(f"{folder}: labels are {values.dtype} {values.shape}, exported were whole numbers [N]")
    return as_recorded(folder, values, np.dtype(np.int64))


def _rest(manifest: Manifest, name: str) -> np.ndarray:
    if name not in manifest.rest:
        raise RequestError(f"pfl-bench.npz: the array {name!r} is missing; export anew")
    return manifest.rest[name]
