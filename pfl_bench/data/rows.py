"""From samples with labels, groups and splits as people name them to the arrays that ``make_dataset`` takes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pfl_bench.errors import RequestError, shown
from pfl_bench.seeds import numpy_generator
from pfl_bench.text import agreeing, counted

from .dataset import ArrayDataset
from .held_out import last_of_groups, share_of_groups
from .inputs import InputKind
from .making import make_dataset

SPLITS = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What the parts of a data set are called."""

TEST_SHARE = 0.2


def coded(what: str, values: np.ndarray, name: str = "") -> tuple[np.ndarray, tuple[str, ...]]:
    """Whole numbers for labels or groups of any kind, int64 ``[N]``, and a note where they were names.

    Whole numbers stay what they are. Names are numbered in their order. RequestError for fractions and what is missing,
    which says ``name`` first; who prints notes says so himself.
    """
    told = f"{name}: {what}" if name else what
    if values.dtype.kind in "iu":
        return values, ()
    if values.dtype.kind == "b":
        return values.astype(np.int64), ()
    if values.dtype.kind == "f":
        if np.isnan(values).any():
            raise RequestError(f"{told}: {int(np.isnan(values).sum())} of {len(values)} are missing; take those out")
        if (values != np.floor(values)).any() or np.abs(values).max(initial=0) > 2**53:
            odd = values[(values != np.floor(values)).argmax()]
            raise RequestError(f"{told}: {odd:g} is no whole number; classes and groups are numbers or names")
        return values.astype(np.int64), ()
    texts = values.astype(str)
    found, codes = np.unique(texts, return_inverse=True)
    listed = ", ".join(shown(str(name), 20) for name in found[:5]) + (", ..." if len(found) > 5 else "")
    return codes.astype(np.int64), (
        f"{what}: {counted(len(found), 'name')} {agreeing(len(found), 'is', 'are')} numbered in their order: {listed}",
    )


def names_of(values: np.ndarray | None) -> tuple[str, ...]:
    """What the numbers are called that ``coded`` gives: the names in their order; none for numbers."""
    return () if values is None or values.dtype.kind in "iubf" else tuple(np.unique(values.astype(str)).tolist())


def dataset_of_rows(
    name: str,
    inputs: np.ndarray,
    labels: np.ndarray,
    *,
    kind: InputKind | None = None,
    groups: np.ndarray | None = None,
    splits: np.ndarray | None = None,
    in_order: bool = False,
    notes: Sequence[str] = (),
    group_names: np.ndarray | None = None,
    **options: Any,
) -> ArrayDataset:
    """A data set of samples in one piece.

    ``splits``: which part each sample is of, in the words of ``SPLITS``. Without it a fixed fifth is held out to test:
    of every group where there are groups, else of every class; with ``in_order`` the last of every group. Then
    validation is held out of every group, too. A class that would have no training sample keeps those that it has.
    ``group_names``: what ``coded`` made ``groups`` of. ``options``: as ``make_dataset`` takes them.
    """
    if not len(labels):
        raise RequestError(f"{name}: there is no sample")
    said = list(notes)
    if splits is None:
        part, more = _held_out(name, labels, groups, in_order)
        if "test" not in part:
            what = "class" if groups is None else "group"
            raise RequestError(f"{name}: no {what} has two samples, so that none can be held out to test")
        said += more
    else:
        part = _named_parts(name, splits)
    key = "images" if kind in (None, "image") else "inputs"
    arrays: dict[str, np.ndarray] = {}
    for split in dict.fromkeys(("train", *sorted(set(part.tolist()) - {"train", "test"}), "test")):
        rows = part == split
        arrays |= {f"{split}_{key}": inputs[rows], f"{split}_labels": labels[rows]}
        if groups is not None:
            arrays[f"{split}_groups"] = groups[rows]
    return make_dataset(
        name, arrays, kind=kind, groups=None if groups is None else "groups",
        held_out_within="classes" if groups is None else "groups", notes=said,
        group_names=names_of(group_names), **options,
    )  # fmt: skip


def _held_out(
    name: str, labels: np.ndarray, groups: np.ndarray | None, in_order: bool
) -> tuple[np.ndarray, list[str]]:  # fmt: skip
    """The part of every sample; fixed by the kind of source, not by a run's seed."""
    rng = numpy_generator("test part", name.partition(":")[0])
    if in_order:
        of = np.zeros(len(labels), np.int64) if groups is None else groups
        test, validation = last_of_groups(of, TEST_SHARE), np.zeros(len(labels), bool)
        validation[np.flatnonzero(~test)[last_of_groups(of[~test], TEST_SHARE)]] = True
    else:
        test = share_of_groups(labels if groups is None else groups, labels, TEST_SHARE, rng)
        validation = np.zeros(len(labels), bool)
    part = np.where(test, "test", np.where(validation, "validation", "train"))
    kept = (part != "train") & ~np.isin(labels, labels[part == "train"])
    part[kept] = "train"
    within = "every group" if groups is not None else "every class"
    what = f"the last {TEST_SHARE:.0%} of {within}, in their order," if in_order else f"{TEST_SHARE:.0%} of {within}"
    said = [f"there is no test part: {what} is held out to test"]
    if kept.any():
        said.append(
            f"{counted(int(kept.sum()), 'sample')} of classes that would have no training sample "
            f"{agreeing(int(kept.sum()), 'stays', 'stay')} there"
        )
    return part, said


def _named_parts(name: str, splits: np.ndarray) -> np.ndarray:
    """The parts in our words; RequestError for other words, and where there is nothing to train or to test on."""
    texts, of = np.unique(splits.astype(str), return_inverse=True)
    unknown = [text for text in texts if text.strip().lower() not in SPLITS]
    if unknown:
        raise RequestError(f"{name}: {shown(str(unknown[0]))} names no part; parts are {', '.join(SPLITS)}")
    part = np.asarray([SPLITS[text.strip().lower()] for text in texts])[of]
    for needed in ("train", "test"):
        if needed not in part:
            raise RequestError(f"{name}: no sample is of the part {needed!r}")
    return part
