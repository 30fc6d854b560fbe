"""What is exported: a scenario's data as its clients see them, and who holds what, at one seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pfl_bench.data.dataset import ArrayDataset, content_hash
from pfl_bench.data.partition import SPLITS, Partition
from pfl_bench.data.shifts import shifted
from pfl_bench.data.splitting import scenario_partition
from pfl_bench.data.store import load_dataset
from pfl_bench.errors import RequestError, about, shown, unknown
from pfl_bench.spec.scenario import Scenario
from pfl_bench.spec.suite import builtin_suites

Holding = Mapping[str, tuple[tuple[np.ndarray, np.ndarray], ...]]
"""Per split and client its samples, ``[n, ...]`` in the layout of ``ArrayDataset``, and its labels ``[n]``, in the
order of the partition's indices."""


@dataclass(frozen=True)
class Split:
    """Data and partition of a scenario at a seed. ``scenario``: its table, as a suite file has it.

    ``dataset`` is what the clients see: where the scenario shifts anything, its inputs or labels are not the source's,
    and ``sha256`` still is the source's.
    """

    scenario: Mapping[str, Any]
    seed: int
    dataset: ArrayDataset
    partition: Partition

    @property
    def name(self) -> str:
        """``<scenario>-s<seed>``, as a folder's name."""
        return f"{self.scenario['id']}-s{self.seed}"

    @property
    def train_clients(self) -> int:
        """How many clients train; the others, the last ones, are novel."""
        return self.partition.clients - self.partition.novel


def make_split(scenario: Scenario | str, seed: int = 0, data_dir: Path | None = None) -> Split:
    """The split that runs of a scenario at a seed are computed on.

    ``scenario``: one, or the id of one that ships with the package. RequestError as ``run`` would refuse it.
    """
    if isinstance(scenario, str):
        shipped = {each.id: each for suite in builtin_suites().values() for each in suite.scenarios}
        if scenario not in shipped:
            raise unknown("scenario", scenario, shipped)
        scenario = shipped[scenario]
    if seed < 0:
        raise RequestError(f"seed={shown(seed)} must be 0 or more")
    with about(f"scenario {shown(scenario.id)}"):
        dataset = load_dataset(scenario.dataset, data_dir)
        partition = scenario_partition(scenario, dataset, seed)
        seen = shifted(dataset, partition, scenario.shift, seed)
    table = scenario.model_dump(mode="json", exclude_defaults=True)
    return Split(table, seed, seen, partition)


def held(split: Split) -> Holding:
    """Every client's samples in every split."""
    data = split.dataset
    found = {}
    for name in SPLITS:
        inputs, labels = part_of(data, name)
        found[name] = tuple((inputs[own], labels[own]) for own in getattr(split.partition, name))
    return found


def part_of(dataset: ArrayDataset, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and labels that a split's indices are of."""
    if split == "test":
        return dataset.test_inputs, dataset.test_labels
    return dataset.train_inputs, dataset.train_labels


def arrays_of(dataset: ArrayDataset) -> dict[str, np.ndarray]:
    """The arrays of a data set by the names under which sources give them."""
    key = "images" if dataset.input.kind == "image" else "inputs"
    found = {
        f"train_{key}": dataset.train_inputs, "train_labels": dataset.train_labels,
        f"test_{key}": dataset.test_inputs, "test_labels": dataset.test_labels,
        "train_groups": dataset.train_groups, "test_groups": dataset.test_groups, "validation": dataset.validation,
    }  # fmt: skip
    return {name: array for name, array in found.items() if array is not None}


def data_hash(dataset: ArrayDataset) -> str:
    """SHA-256 of the arrays as they are; that of the source where ``make_dataset`` made it and nothing is shifted."""
    return content_hash(arrays_of(dataset))
