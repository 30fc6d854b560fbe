"""Holding test samples out, where a source has no test part of its own."""

import hashlib

import numpy as np


def hold_out(
    name: str, inputs: np.ndarray, labels: np.ndarray, share: float, key: str = "images"
) -> dict[str, np.ndarray]:  # fmt: skip
    """Hold out a share of every class as test samples, at least one each; fixed by ``name``, not by a run's seed.

    It is part of the data set's definition, like the official split of CIFAR-10. ``key``: what the samples are called.
    """
    rng = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        test[members[: max(1, round(share * len(members)))]] = True
    return {
        f"{split}_{what}": array[rows]
        for split, rows in (("train", ~test), ("test", test))
        for what, array in ((key, inputs), ("labels", labels))
    }


def share_of_groups(groups: np.ndarray, labels: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Which samples are held out, bool ``[N]``: of every group the ``share``, rounded, at least one and never all.

    The classes of a group are held out in proportion, as far as whole samples allow: its samples are put in order of
    their labels, at random within a class, and picked at equal distances. A group of one sample keeps it.
    """
    held = np.zeros(len(groups), dtype=bool)
    for members in _of_groups(groups):
        count = min(max(1, round(share * len(members))), len(members) - 1)
        shuffled = rng.permutation(members)
        in_order = shuffled[np.argsort(labels[shuffled], kind="stable")]
        if count:
            held[in_order[((np.arange(count) + rng.random()) * len(members) / count).astype(int)]] = True
    return held


def last_of_groups(groups: np.ndarray, share: float) -> np.ndarray:
    """Which samples are held out, bool ``[N]``: the last ``share`` of every group, in the order in which they stand."""
    held = np.zeros(len(groups), dtype=bool)
    for members in _of_groups(groups):
        count = min(max(1, round(share * len(members))), len(members) - 1)
        held[members[len(members) - count :]] = True
    return held


def _of_groups(groups: np.ndarray) -> list[np.ndarray]:
    """The samples of every group, in the order in which they stand."""
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1) if len(order) else []
