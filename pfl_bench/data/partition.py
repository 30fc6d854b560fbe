"""Splitting a data set among clients.

A partition rule is a pure function that returns a *share table*, ``[clients, strata]``: which share of each
stratum (a class, a natural group, or everything) goes to each client. One function then cuts train,
validation and test with the same table, so that every client sees the same proportions in all three.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pfl_bench.errors import RequestError, shown
from pfl_bench.registry import PARTITIONS
from pfl_bench.seeds import numpy_generator
from pfl_bench.spec.fields import read_fields

from .cut import StrataKind, cut, strata_of
from .dataset import ArrayDataset
from .exported import read_exported, write_exported
from .quantity import Quantity, resized
from .small_clients import advice, groups_of_clients, held_out_within, left_out, refuse_too_small

SPLITS = ("train", "validation", "test")
_NOUNS = {"train": "training", "validation": "validation", "test": "test"}
ShareFunction = Callable[[Any, np.ndarray, int, np.random.Generator], np.ndarray]


class RuleConfig(BaseModel):
    """Base of a rule's parameters: immutable, unknown fields are errors.

    Every rule takes ``quantity``, a law of sizes, such as ``{ law = "dirichlet", beta = 0.5 }``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    quantity: Quantity | None = Field(default=None, description="a law of the clients' sizes")

    @property
    def truncates(self) -> bool:
        """Whether each client gets its share of a stratum rounded down, the rest going to nobody."""
        return False

    @property
    def least(self) -> int:
        """Fewest training samples of a stratum that takes part; those with fewer, or without a test sample, are left
        out and counted. 0: all take part."""
        return 0


@dataclass(frozen=True)
class Rule:
    """A partition rule: its parameters, what it cuts, and its pure function.

    ``shares(config, counts, clients, rng)`` receives the number of training samples per stratum and returns
    ``[clients, strata]`` with column sums at most 1.
    """

    config: type[RuleConfig]
    strata: StrataKind
    shares: ShareFunction


def register_partition(
    name: str, *, config: type[RuleConfig], strata: StrataKind = "labels", **info: str
) -> Callable[[ShareFunction], Rule]:
    """Register a share function as the partition rule ``name``."""

    def enter(shares: ShareFunction) -> Rule:
        return PARTITIONS.register(name, origin=shares.__module__, **info)(Rule(config, strata, shares))

    return enter


@dataclass(frozen=True)
class Partition:
    """Which samples each client holds: per split, one sorted index array per client.

    ``train`` and ``validation`` index the source's training arrays, ``test`` its test arrays. The last
    ``novel`` clients take no part in training. ``notes``: what the user should know of how it came about. ``groups``:
    for each of the scenario's shifts (``shifts.py``) the group that each client is in, int64 ``[clients]``. ``alike``:
    which clients see the same by all of them together (``alike.py``), int64 ``[clients]``; None without shifts.
    """

    train: tuple[np.ndarray, ...]
    validation: tuple[np.ndarray, ...]
    test: tuple[np.ndarray, ...]
    novel: int = 0
    notes: tuple[str, ...] = ()
    groups: tuple[np.ndarray, ...] = ()
    alike: np.ndarray | None = None

    @property
    def clients(self) -> int:
        """Number of clients, the novel ones included."""
        return len(self.train)

    def sha256(self) -> str:
        """Hash of the content: equal exactly if every client holds the same samples in every split, and is in the same
        group of every shift."""
        digest = hashlib.sha256(json.dumps([self.clients, self.novel]).encode())
        for split in SPLITS:
            for indices in getattr(self, split):
                digest.update(np.ascontiguousarray(indices, dtype="<i8").tobytes() + b"|")
        for groups in self.groups:
            digest.update(b"groups" + np.ascontiguousarray(groups, dtype="<i8").tobytes() + b"|")
        return digest.hexdigest()

    def natural_groups(self, dataset: ArrayDataset) -> np.ndarray | None:
        """The source's group that each client has most training samples of, ``[clients]``; None where it has none."""
        if dataset.train_groups is None:
            return None
        return np.asarray([np.bincount(dataset.train_groups[own]).argmax() for own in self.train])

    def holdings(self, dataset: ArrayDataset) -> list[dict[str, int | str]]:
        """A row per client and class it holds: sample counts per split, its most frequent natural group and, where
        there are shifts, which clients see the same (``shift_group``), and of several shifts the client's group in each
        (``shift_1``, ...). Classes are the source's, before any shift."""
        natural = self.natural_groups(dataset)
        rows: list[dict[str, int | str]] = []
        for client, own in enumerate(self.train):
            labels = {"train": dataset.train_labels[own], "validation": dataset.train_labels[self.validation[client]]}
            labels["test"] = dataset.test_labels[self.test[client]]
            counts = {split: np.bincount(each, minlength=dataset.classes) for split, each in labels.items()}
            group = "" if natural is None else int(natural[client])
            seen = {} if self.alike is None else {"shift_group": int(self.alike[client])}
            if len(self.groups) > 1:
                seen |= {f"shift_{place}": int(groups[client]) for place, groups in enumerate(self.groups, start=1)}
            novel = int(client >= self.clients - self.novel)
            for label in np.flatnonzero(sum(counts.values())):
                each = {split: int(count[label]) for split, count in counts.items()}
                rows.append({"client": client, "novel": novel, "group": group, "label": int(label), **each, **seen})
        return rows

    def untrained(self, dataset: ArrayDataset) -> tuple[int, int]:
        """How many clients hold test samples of classes they have no training sample of, and how many such samples."""
        missing = [
            int((~np.isin(dataset.test_labels[test], dataset.train_labels[train])).sum())
            for train, test in zip(self.train, self.test, strict=True)
        ]
        return sum(number > 0 for number in missing), sum(missing)

    def save(self, path: Path) -> None:
        """Export who holds what to an ``.npz`` (index arrays, client sizes, the hash). Groups of shifts are no part of
        it: the scenario deals them."""
        own = replace(self, groups=(), alike=None)
        write_exported(path, {split: getattr(self, split) for split in SPLITS}, self.novel, own.sha256())

    @classmethod
    def load(cls, path: Path) -> "Partition":
        """Import what ``save`` wrote; RequestError if it is no partition or its hash does not match."""
        parts, novel, recorded = read_exported(path, SPLITS)
        partition = cls(parts["train"], parts["validation"], parts["test"], novel)
        if partition.sha256() != recorded:
            raise RequestError(f"partition: {path} does not match the hash {shown(recorded[:12])} it carries")
        return partition

    def check(self, dataset: ArrayDataset, advice: str = "use fewer clients or a less skewed partition") -> None:
        """RequestError unless clients are disjoint, within bounds and non-empty in every split; ``advice`` is what to
        do about an empty one."""
        sizes = {"train": len(dataset.train_labels), "validation": len(dataset.train_labels)}
        sizes["test"] = len(dataset.test_labels)
        for split in SPLITS:
            for client, part in enumerate(getattr(self, split)):
                if len(part) == 0:
                    own = len(self.train[client]) + len(self.validation[client])
                    raise RequestError(
                        f"client {client} of {self.clients} would get no {_NOUNS[split]} sample of {dataset.name} "
                        f"({sizes[split]} there), and {own} for training and validation together: {advice}"
                    )
        for name, limit, parts in (
            ("train and validation", sizes["train"], self.train + self.validation),
            ("test", sizes["test"], self.test),
        ):
            joined = np.concatenate(parts)
            if joined.min() < 0 or joined.max() >= limit:
                raise RequestError(f"partition: a {name} index lies outside 0..{limit - 1} of {dataset.name}")
            if len(np.unique(joined)) != len(joined):
                raise RequestError(
                    f"partition: two clients share a {name} sample of {dataset.name}, or one holds it twice"
                )


def make_partition(
    rule_name: str, parameters: dict[str, Any], dataset: ArrayDataset, clients: int, seed: int, novel: int = 0
) -> Partition:
    """Split ``dataset`` among ``clients`` by a registered rule. Deterministic in all arguments.

    Raises RequestError where the rule cannot serve every client with data of each split.
    """
    if not 0 <= novel < clients:
        raise RequestError(f"novel: {novel} clients left out of {clients}; at least one must train")
    rule: Rule = PARTITIONS.get(rule_name)
    config = read_fields(rule.config, parameters, f"partition rule {rule_name}: ")
    if clients > (most := min(len(dataset.test_labels), len(dataset.train_labels) // 2)):
        there = f"{dataset.name} has {len(dataset.train_labels)} and {len(dataset.test_labels)}"
        raise RequestError(
            f"clients={clients}: use fewer clients, at most {most} even where all get equally many: each needs two "
            f"training and one test sample, and {there}"
        )
    strata = strata_of(rule.strata, dataset, config.least)
    rng = numpy_generator(seed, "partition", rule_name)
    shares = rule.shares(config, strata.counts, clients, rng)
    if config.quantity is not None:
        if rule.strata == "groups":
            raise RequestError(f"partition rule {rule_name}: quantity has no meaning, its clients hold what they hold")
        shares = resized(shares, config.quantity, strata.counts, numpy_generator(seed, "partition", "quantity"))
    parts = cut(shares, config.truncates, dataset, strata, numpy_generator(seed, "partition", "samples"))
    notes = left_out(config.least, dataset, strata)
    if rule.strata == "groups":
        parts, small = held_out_within(parts, dataset.validation_share, seed)
        refuse_too_small(parts, "min_samples" in type(config).model_fields, dataset, strata)
        notes += small + groups_of_clients(shares)
    partition = Partition(parts["train"], parts["validation"], parts["test"], novel, notes)
    partition.check(dataset, *advice(config, config.quantity))
    return partition
