"""Cutting samples by a share table: the same proportions in train, validation and test."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pfl_bench.errors import RequestError

from .dataset import ArrayDataset
from .held_out import share_of_groups

StrataKind = Literal["labels", "groups", "all"]
Parts = dict[str, tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class Strata:
    """What a rule deals: the stratum of every training and every test sample, -1 for one that goes to nobody.

    ``numbers``: what the strata that take part are called in the data set. Those without a sample are not among them,
    so that no client is dealt a class that does not exist.
    """

    train: np.ndarray
    test: np.ndarray
    numbers: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Training samples, validation included, per stratum."""
        return np.bincount(self.train[self.train >= 0], minlength=len(self.numbers))


def strata_of(kind: StrataKind, dataset: ArrayDataset, least: int = 0) -> Strata:
    """The strata of a kind. ``least`` > 0: those with fewer training samples, or no test sample, take no part."""
    if kind == "groups" and (dataset.train_groups is None or dataset.test_groups is None):
        raise RequestError(f"{dataset.name} has no natural groups; use another partition rule")
    train, test = {
        "labels": (dataset.train_labels, dataset.test_labels),
        "groups": (dataset.train_groups, dataset.test_groups),
        "all": (np.zeros_like(dataset.train_labels), np.zeros_like(dataset.test_labels)),
    }[kind]
    assert train is not None and test is not None
    number = int(max(train.max(), test.max())) + 1
    of_train, of_test = np.bincount(train, minlength=number), np.bincount(test, minlength=number)
    taken = (of_train >= least) & (of_test > 0) if least else of_train + of_test > 0
    numbers = np.flatnonzero(taken)
    if not len(numbers):
        raise RequestError(f"{dataset.name}: no group has {least} training samples and a test sample; ask for fewer")
    if len(numbers) < number:
        position = np.where(taken, np.cumsum(taken) - 1, -1)
        train, test = position[train], position[test]
    return Strata(train, test, numbers)


def cut(
    shares: np.ndarray, truncate: bool, dataset: ArrayDataset, strata: Strata, rng: np.random.Generator
) -> Parts:  # fmt: skip
    """Hold validation out, shuffle each stratum of each split and cut it by the shares.

    ``truncate``: each client gets its share rounded down, the rest goes to nobody.
    """
    held_out = _validation(dataset, rng)
    rows = {
        "train": (strata.train, np.flatnonzero(~held_out)),
        "validation": (strata.train, np.flatnonzero(held_out)),
        "test": (strata.test, np.arange(len(dataset.test_labels))),
    }
    parts: Parts = {}
    for split, (stratum_of, candidates) in rows.items():
        owned: list[list[np.ndarray]] = [[np.empty(0, dtype=np.int64)] for _ in range(len(shares))]
        for stratum in range(shares.shape[1]):
            members = rng.permutation(candidates[stratum_of[candidates] == stratum])
            ends = _ends(shares[:, stratum], len(members), truncate)
            starts = np.concatenate([[0], ends[:-1]])
            for client in np.flatnonzero(ends > starts):
                owned[client].append(members[starts[client] : ends[client]])
        parts[split] = tuple(np.sort(np.concatenate(pieces)) for pieces in owned)
    return parts


def _validation(dataset: ArrayDataset, rng: np.random.Generator) -> np.ndarray:
    """Which training samples validate, bool ``[N]``: those the source names, or a share of every class or group."""
    if dataset.validation is not None:
        return dataset.validation
    if dataset.held_out_within == "groups" and dataset.train_groups is not None:
        return share_of_groups(dataset.train_groups, dataset.train_labels, dataset.validation_share, rng)
    held_out = np.zeros(len(dataset.train_labels), dtype=bool)
    for label in range(dataset.classes):
        members = rng.permutation(np.flatnonzero(dataset.train_labels == label))
        held_out[members[: round(dataset.validation_share * len(members))]] = True
    return held_out


def _ends(shares: np.ndarray, count: int, truncate: bool) -> np.ndarray:
    """Where each client's part of ``count`` samples ends; rounding errors lose no sample."""
    if truncate:
        return np.cumsum(np.floor(shares * count + 1e-9).astype(int))
    ends = np.cumsum(shares)
    ends[np.abs(ends - 1) < 1e-9] = 1.0
    return np.rint(ends * count).astype(int)
