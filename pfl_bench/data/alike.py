"""Who sees the same: clients for whom all shifts together come to the same, whatever their groups are called.

Groups of a shift may see the same (an angle named twice, negatives in every second of four groups), and shifts may
undo one another. A method that sorts clients can find only what is different, so that is what counts as a group.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pfl_bench.errors import RequestError, shown
from pfl_bench.registry import SHIFTS
from pfl_bench.spec.heterogeneity import ShiftSpec
from pfl_bench.text import counted

from .dataset import ArrayDataset
from .partition import Partition
from .shifts import Transformation, changed, deal_groups, foreign, transformations, try_shifts

PROBE = 64
"""Samples, evenly spaced over the training part, by which it is seen whether two groups see the same."""

Changes = Sequence[Transformation | None]


def with_shifts(specs: Sequence[ShiftSpec], dataset: ArrayDataset, partition: Partition, seed: int) -> Partition:
    """The partition with the clients' groups in each shift, and who sees the same; itself without shifts.

    RequestError where the shifts do not go with the data or the clients, or change nothing.
    """
    if not specs:
        return partition
    dealt = deal_groups(specs, dataset, partition, seed)
    try_shifts(dataset, dealt, specs, seed)
    return _told_alike(dataset, dealt, specs, seed)


def _told_alike(dataset: ArrayDataset, partition: Partition, specs: Sequence[ShiftSpec], seed: int) -> Partition:
    """The partition with ``alike``: numbered from 0 in the order of the combinations of the shifts' groups that occur.

    A combination is what it makes of ``PROBE`` samples and of every class, with random numbers that are equal for all:
    equal levels of noise are the same. RequestError for a shift that leaves everything to everybody as it is.
    """
    with foreign(specs):
        changes = [
            transformations(spec, position, int(groups.max()) + 1, dataset, seed)
            for position, (spec, groups) in enumerate(zip(specs, partition.groups, strict=True))
        ]
        for spec, own in zip(specs, changes, strict=True):
            _refuse_nothing(spec, own)
        combinations, which = np.unique(np.stack(partition.groups), axis=1, return_inverse=True)
        seen = [_seen(dataset, specs, changes, combination) for combination in combinations.T]
    number = {sight: place for place, sight in enumerate(dict.fromkeys(seen))}
    alike = np.asarray([number[sight] for sight in seen], dtype=np.int64)[which.ravel()]
    notes = partition.notes
    if len(number) < len(seen):
        notes += (
            f"of {counted(len(seen), 'combination')} of the shifts' groups {len(number)} are different; clients "
            "that see the same "
            "count as one group",
        )
    return replace(partition, alike=alike, notes=notes)


def _refuse_nothing(spec: ShiftSpec, changes: Changes) -> None:
    if all(change is None for change in changes):
        asked = "".join(f", {name}={shown(value)}" for name, value in spec.parameters.items())
        raise RequestError(
            f"shift {spec.rule}: groups={spec.groups}{asked} leaves all clients' data as they are; "
            "use more groups or other parameters, or leave the shift out"
        )


def _seen(
    dataset: ArrayDataset, specs: Sequence[ShiftSpec], changes: Sequence[Changes], groups: np.ndarray
) -> bytes:  # fmt: skip
    """A hash of what clients in these groups, one per shift, see of the probe."""
    few = np.unique(np.linspace(0, len(dataset.train_inputs) - 1, PROBE).astype(int))
    probe = {
        "inputs": dataset.train_inputs[few],
        "labels": np.arange(dataset.classes, dtype=dataset.train_labels.dtype),
    }
    for spec, own, group in zip(specs, changes, groups, strict=True):
        of, change = SHIFTS.get(spec.rule).of, own[group]
        if change is not None:
            probe[of] = changed(spec, change, probe[of].copy(), np.random.default_rng(0))
    digest = hashlib.sha256()
    for values in probe.values():
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.digest()
