"""Splitting a data set among clients.

A partition rule is a pure function that returns a *share table*, ``[clients, strata]``: which share of each
stratum (a class, a natural group, or everything) goes to each client. One function then cuts train,
validation and test with the same table, so that every client sees the same proportions in all three.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from pfl_bench.errors import RequestError
from pfl_bench.registry import PARTITIONS
from pfl_bench.seeds import numpy_generator
from pfl_bench.spec.fields import read_fields

from .dataset import ArrayDataset
from .store import read_npz, write_npz

SPLITS = ("train", "validation", "test")
Strata = Literal["labels", "groups", "all"]
ShareFunction = Callable[[Any, np.ndarray, int, np.random.Generator], np.ndarray]


class RuleConfig(BaseModel):
    """Base of a rule's parameters: immutable, unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @property
    def truncates(self) -> bool:
        """Whether each client gets its share of a stratum rounded down, the rest going to nobody."""
        return False


@dataclass(frozen=True)
class Rule:
    """A partition rule: its parameters, what it cuts, and its pure function.

    ``shares(config, counts, clients, rng)`` receives the number of training samples per stratum and returns
    ``[clients, strata]`` with column sums at most 1.
    """

    config: type[RuleConfig]
    strata: Strata
    shares: ShareFunction


def register_partition(
    name: str, *, config: type[RuleConfig], strata: Strata = "labels", **info: str
) -> Callable[[ShareFunction], Rule]:
    """Register a share function as the partition rule ``name``."""

    def enter(shares: ShareFunction) -> Rule:
        return PARTITIONS.register(name, origin=shares.__module__, **info)(Rule(config, strata, shares))

    return enter


@dataclass(frozen=True)
class Partition:
    """Which samples each client holds: per split, one sorted index array per client.

    ``train`` and ``validation`` index the source's training arrays, ``test`` its test arrays. The last
    ``novel`` clients take no part in training.
    """

    train: tuple[np.ndarray, ...]
    validation: tuple[np.ndarray, ...]
    test: tuple[np.ndarray, ...]
    novel: int = 0

    @property
    def clients(self) -> int:
        """Number of clients, the novel ones included."""
        return len(self.train)

    def sha256(self) -> str:
        """Hash of the content: equal exactly if every client holds the same samples in every split."""
        digest = hashlib.sha256(json.dumps([self.clients, self.novel]).encode())
        for split in SPLITS:
            for indices in getattr(self, split):
                digest.update(np.ascontiguousarray(indices, dtype="<i8").tobytes() + b"|")
        return digest.hexdigest()

    def holdings(self, dataset: ArrayDataset) -> list[dict[str, int | str]]:
        """A row per client and class it holds: sample counts per split, and its most frequent natural group."""
        rows: list[dict[str, int | str]] = []
        for client, own in enumerate(self.train):
            labels = {"train": dataset.train_labels[own], "validation": dataset.train_labels[self.validation[client]]}
            labels["test"] = dataset.test_labels[self.test[client]]
            counts = {split: np.bincount(each, minlength=dataset.classes) for split, each in labels.items()}
            group = "" if dataset.train_groups is None else int(np.bincount(dataset.train_groups[own]).argmax())
            novel = int(client >= self.clients - self.novel)
            for label in np.flatnonzero(sum(counts.values())):
                each = {split: int(count[label]) for split, count in counts.items()}
                rows.append({"client": client, "novel": novel, "group": group, "label": int(label), **each})
        return rows

    def save(self, path: Path) -> None:
        """Export to an ``.npz`` (index arrays, client sizes, the hash)."""
        arrays: dict[str, np.ndarray] = {"novel": np.asarray(self.novel), "sha256": np.asarray(self.sha256())}
        for split in SPLITS:
            parts = getattr(self, split)
            arrays[f"{split}_indices"] = np.concatenate(parts)
            arrays[f"{split}_sizes"] = np.asarray([len(part) for part in parts], dtype=np.int64)
        write_npz(path, arrays)

    @classmethod
    def load(cls, path: Path) -> "Partition":
        """Import what ``save`` wrote; RequestError if it is no partition or its hash does not match."""
        arrays = read_npz(path, "partition")
        try:
            parts = {
                split: tuple(np.split(arrays[f"{split}_indices"], np.cumsum(arrays[f"{split}_sizes"])[:-1].astype(int)))
                for split in SPLITS
            }
            partition = cls(**parts, novel=int(arrays["novel"]))
            recorded = str(arrays["sha256"])
        except (KeyError, ValueError, TypeError) as error:
            raise RequestError(f"partition: {path} is not an exported partition: {error}") from error
        if partition.sha256() != recorded:
            raise RequestError(f"partition: {path} does not match the hash {recorded[:12]} it carries")
        return partition

    def check(self, dataset: ArrayDataset) -> None:
        """RequestError unless clients are disjoint, within bounds and non-empty in every split."""
        sizes = {"train": len(dataset.train_labels), "validation": len(dataset.train_labels)}
        sizes["test"] = len(dataset.test_labels)
        for split in SPLITS:
            for client, part in enumerate(getattr(self, split)):
                if len(part) == 0:
                    raise RequestError(
                        f"client {client} of {self.clients} would get no {split} sample of {dataset.name} "
                        f"({sizes[split]} there): use fewer clients or a less skewed partition"
                    )
        for name, limit, parts in (
            ("train and validation", sizes["train"], self.train + self.validation),
            ("test", sizes["test"], self.test),
        ):
            joined = np.concatenate(parts)
            if joined.min() < 0 or joined.max() >= limit:
                raise RequestError(f"partition: a {name} index lies outside 0..{limit - 1} of {dataset.name}")
            if len(np.unique(joined)) != len(joined):
                raise RequestError(f"partition: two clients share a {name} sample of {dataset.name}")


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
        raise RequestError(
            f"clients={clients}: use fewer clients, at most {most}: each needs two training and one test sample, and "
            f"{dataset.name} has {len(dataset.train_labels)} and {len(dataset.test_labels)}"
        )
    strata = _strata(rule.strata, dataset)
    counts = np.bincount(strata["train"], minlength=int(strata["train"].max()) + 1)
    rng = numpy_generator(seed, "partition", rule_name)
    shares = rule.shares(config, counts, clients, rng)
    partition = Partition(
        **_cut(shares, config.truncates, dataset, strata, numpy_generator(seed, "partition", "samples")), novel=novel
    )
    partition.check(dataset)
    return partition


def _strata(kind: Strata, dataset: ArrayDataset) -> dict[str, np.ndarray]:
    if kind == "labels":
        return {"train": dataset.train_labels, "test": dataset.test_labels}
    if kind == "all":
        return {"train": np.zeros_like(dataset.train_labels), "test": np.zeros_like(dataset.test_labels)}
    if dataset.train_groups is None or dataset.test_groups is None:
        raise RequestError(f"{dataset.name} has no natural groups; use another partition rule")
    return {"train": dataset.train_groups, "test": dataset.test_groups}


def _cut(
    shares: np.ndarray,
    truncate: bool,
    dataset: ArrayDataset,
    strata: dict[str, np.ndarray],
    rng: np.random.Generator,
) -> dict[str, tuple[np.ndarray, ...]]:
    """Hold validation out of every class, shuffle each stratum of each split and cut it by the shares."""
    held_out = np.zeros(len(dataset.train_labels), dtype=bool)
    for label in range(dataset.classes):
        members = rng.permutation(np.flatnonzero(dataset.train_labels == label))
        held_out[members[: round(dataset.validation_share * len(members))]] = True
    rows = {
        "train": (strata["train"], np.flatnonzero(~held_out)),
        "validation": (strata["train"], np.flatnonzero(held_out)),
        "test": (strata["test"], np.arange(len(dataset.test_labels))),
    }
    parts: dict[str, tuple[np.ndarray, ...]] = {}
    for split, (stratum_of, candidates) in rows.items():
        owned: list[list[np.ndarray]] = [[] for _ in range(len(shares))]
        for stratum in range(shares.shape[1]):
            members = rng.permutation(candidates[stratum_of[candidates] == stratum])
            cuts = _cuts(shares[:, stratum], len(members), truncate)
            for client, part in enumerate(np.split(members, cuts)[: len(shares)]):
                owned[client].append(part)
        parts[split] = tuple(np.sort(np.concatenate(pieces)) for pieces in owned)
    return parts


def _cuts(shares: np.ndarray, count: int, truncate: bool) -> np.ndarray:
    """Where to cut ``count`` samples for clients with these shares; rounding errors lose no sample."""
    if truncate:
        return np.cumsum(np.floor(shares * count + 1e-9).astype(int))
    ends = np.cumsum(shares)
    ends[np.abs(ends - 1) < 1e-9] = 1.0
    return np.rint(ends * count).astype(int)
