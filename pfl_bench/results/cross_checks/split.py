"""Who holds how many samples, by the partition's recorded rows; every run on the split says parts of it again."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pfl_bench.errors import shown
from pfl_bench.results.agreement import read_cells
from pfl_bench.results.record import Record

from .sheets import Contradiction, Sheet, hits

COLUMNS = ("client", "novel", "group", "label", "train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Samples per client, int64 ``[clients]``, the novel ones last. What is None is not recorded.

    ``held``: training samples per client and class, ``[clients, classes]``; ``of_class``: per split the
    training clients' samples of each class, ``[classes]``, before any shift; ``groups``: who sees the same, as written;
    ``dealt``: samples of each class that somebody holds, in all splits and of all clients, ``[classes]``.
    """

    train: np.ndarray
    test: np.ndarray
    training_clients: int
    validation: np.ndarray | None = None
    held: np.ndarray | None = None
    of_class: dict[str, np.ndarray] | None = None
    groups: list[str] | None = None
    dealt: np.ndarray | None = None
    sheet: Sheet | None = None

    @classmethod
    def of_clients(cls, clients: Sheet, record: Record) -> "Split":
        """What clients.csv says, where the split was not recorded."""
        rows = next(iter(clients.selections.values()))
        return cls(clients.counts("train_samples")[rows], clients.counts("test_samples")[rows], len(rows))

    def sizes(self, split: str) -> np.ndarray | None:
        """Samples per training client of ``validation`` or ``test``."""
        own = self.validation if split == "validation" else self.test
        return None if own is None else own[: self.training_clients]


def read_split(folder: Path, record: Record) -> Split | None:
    """The split of a run of a suite's folder; None if the folder does not have it. Contradiction or Unreadable."""
    if not record.partition_sha256:
        return None
    path = folder / "partitions" / f"{record.partition_sha256[:12]}.csv"
    if not path.exists():
        return None
    sheet = Sheet(f"partitions/{path.name}", *read_cells(path, COLUMNS))
    client, label = sheet.counts("client"), sheet.counts("label")
    parts = {name: sheet.counts(name) for name in ("train", "validation", "test")}
    clients, classes = int(record.scenario["clients"]), int(max(label, default=0)) + 1
    if sorted(set(client.tolist())) != list(range(clients)):
        raise Contradiction(f"{sheet.name} is not of the {clients} clients of the scenario")
    if classes > 10**6:
        raise Contradiction(f"{sheet.name}: label is {classes - 1}, which no class has")
    training = clients - int(record.scenario.get("novel") or 0)
    held = np.zeros((clients, classes))
    np.add.at(held, (client, label), parts["train"])
    sizes = {name: np.bincount(client, own, minlength=clients).astype(np.int64) for name, own in parts.items()}
    own = client < training
    of_class = {
        name: np.bincount(label[own], parts[name][own], minlength=classes).astype(np.int64)
        for name in ("validation", "test")
    }
    first = np.asarray([int(np.argmax(client == number)) for number in range(clients)])
    dealt = sum(np.bincount(label, own, minlength=classes) for own in parts.values())
    groups = sheet.texts("shift_group" if "shift_group" in sheet else "group")
    return Split(
        sizes["train"], sizes["test"], training, sizes["validation"], held, of_class,
        [groups[row] for row in first], np.asarray(dealt), sheet,
    )  # fmt: skip


def check_split(split: Split, record: Record) -> Iterator[str]:
    """What of a partition's rows cannot be."""
    sheet = split.sheet
    if sheet is None:
        return
    client, label, novel = (sheet.counts(name) for name in ("client", "label", "novel"))
    for row in range(1, len(sheet)):
        if (client[row], label[row]) <= (client[row - 1], label[row - 1]):
            yield f"{sheet.where(row)}: label {label[row]} of client {client[row]} does not follow the line before"
    for row in hits(novel != (client >= split.training_clients)):
        yield f"{sheet.where(row)}: novel is {novel[row]}; the last {record.scenario.get('novel', 0)} clients are novel"
    train, validation, test = (sheet.counts(name) for name in ("train", "validation", "test"))
    for row in hits(train + validation + test == 0):
        yield f"{sheet.where(row)}: client {client[row]} holds nothing of label {label[row]}"
    classes = record.data_facts.get("classes")
    for row in hits(label >= classes) if isinstance(classes, int) else ():
        yield f"{sheet.where(row)}: label is {label[row]}; data_facts.classes is {classes} in run.json"
    for name in [name for name in sheet.at if name not in (*COLUMNS[:2], *COLUMNS[3:])]:
        texts = sheet.texts(name)
        for row in range(1, len(sheet)):
            if client[row] == client[row - 1] and texts[row] != texts[row - 1]:
                own = f"{shown(texts[row])}, and {shown(texts[row - 1])} in the line before"
                yield f"{sheet.where(row)}: {name} of client {client[row]} is {own}"
