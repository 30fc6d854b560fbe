"""The tables with a row per client: against each other, the split, and run.json's scores."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pfl_bench import metrics
from pfl_bench.errors import shown
from pfl_bench.results.record import Record

from .picks import equal_scores
from .sheets import Contradiction, Sheet, differ, hits, written
from .split import Split

Document = Mapping[str, Any]
OVER_CLIENTS = ("accuracy", "client_mean", "client_std", "worst_decile", "client_min")
"""The metrics that follow from the clients' accuracies."""


def check_clients(clients: Sheet, record: Record, document: Document, split: Split | None) -> Iterator[str]:
    """``clients.csv``: everybody once per selection, with its own samples and accuracy; scores are theirs."""
    numbers, samples = clients.counts("client"), clients.counts("test_samples")
    correct, training = clients.counts("test_correct"), clients.counts("train_samples")
    yield from _check_percent(clients, "test_accuracy", correct, samples)
    wanted = {(m, s) for m, picked in record.summary.items() for s in ("best", "last") if getattr(picked, s)}
    for key in set(clients.selections) ^ wanted:
        yield f"clients.csv {'lacks' if key in wanted else 'has'} {shown('.'.join(key))}; run.json says otherwise"
    found: dict[tuple[str, str], np.ndarray] = {}
    for key, rows in clients.selections.items():
        _everybody(clients, numbers, rows, 0, record)
        found[key] = correct[rows]
        first = next(iter(clients.selections.values()))
        for name, column in (("test_samples", samples), ("train_samples", training)):
            known = None if split is None else getattr(split, name.partition("_")[0])[: len(rows)]
            right, source = (column[first], "the first lines") if known is None else (known, "the split")
            for place in hits(column[rows] != right):
                row = int(rows[place])
                yield f"{clients.where(row)}: {name} is {column[row]}, and {right[place]} by {source}"
        picked = record.summary.get(key[0])
        if picked is not None and (scores := getattr(picked, key[1], None)):
            pooled = _Scores(correct[rows], samples[rows])
            figures = {m.key: m.of(pooled) for m in metrics.METRICS if m.key in OVER_CLIENTS}
            yield from equal_scores(".".join(key), scores, figures, "clients.csv")
    for (moment, selection), own in found.items():
        shared, scores = found.get(("global", selection)), getattr(record.summary.get(moment), selection, None)
        if moment != "global" and shared is not None and scores:
            hurt = {"hurt": 100 * float((own < shared).mean())}
            yield from equal_scores(f"{moment}.{selection}", scores, hurt, "clients.csv")


def check_union(union: Sheet, record: Record, document: Document, split: Split) -> Iterator[str]:
    """``union.csv``: everybody once, on equally many samples, as many as run.json says."""
    numbers, samples, correct = (union.counts(name) for name in ("client", "union_samples", "union_correct"))
    _everybody(union, numbers, np.arange(len(union)), 0, record)
    yield from _check_percent(union, "union_accuracy", correct, samples)
    own = split.test[: len(union)]
    expected = min(int(own.sum()), 1000, -(-4 * int(own.sum()) // len(own)))
    for row in hits(samples != expected):
        yield f"{union.where(row)}: union_samples is {samples[row]}; each client has {expected}"
    yield from _check_range(union, "reweighted_accuracy")
    scores = record.at(record.moment).last
    yield from equal_scores(f"{record.moment}.last", scores, {"union_samples": float(samples.sum())}, "union.csv")


def check_novel(novel: Sheet, record: Record, document: Document, split: Split) -> Iterator[str]:
    """``novel.csv``: every newcomer once per number of samples; whom it resembles follows from the split."""
    spec = record.scenario.get("enroll") or {}
    numbers, tested, correct = (novel.counts(name) for name in ("client", "test_samples", "test_correct"))
    yield from _check_percent(novel, "test_accuracy", correct, tested)
    allowed, said = [str(each) for each in spec.get("samples", [])], novel.texts("samples")
    for row, each in enumerate(said):
        if each not in allowed:
            raise Contradiction(
                f"{novel.where(row)}: samples is {shown(each)}; the scenario's are {', '.join(allowed)}"
            )
    first = split.training_clients
    for each in allowed:
        _everybody(novel, numbers, np.flatnonzero(np.asarray(said) == each), first, record)
    columns = {"steps": np.full(len(novel), spec.get("steps")), "test_samples": None, "train_samples": None}
    if split.held is not None:
        limits = np.asarray([np.inf if each == "all" else float(each) for each in said])
        columns["test_samples"] = split.test[numbers]
        columns["train_samples"] = np.minimum(split.train[numbers], limits)
    for name, right in columns.items():
        if name in novel and right is not None:
            own = novel.counts(name)
            for row in hits(own != right):
                yield f"{novel.where(row)}: {name} is {own[row]}, and must be {int(right[row])}"
    if split.held is not None and "tv_distance" in novel:
        yield from _check_neighbours(novel, numbers, split, bool(record.scenario.get("shift")))


def _check_neighbours(novel: Sheet, numbers: np.ndarray, split: Split, shifted: bool) -> Iterator[str]:
    if shifted or split.held is None:
        return
    held = split.held / split.held.sum(axis=1, keepdims=True)
    distances = 0.5 * np.abs(held[numbers][:, None] - held[None, : split.training_clients]).sum(axis=2)
    said, nearest = novel.figures("tv_distance"), novel.counts("nearest_client")
    for row in hits(differ(said, distances.min(axis=1), 1e-9)):
        right = written(distances[row].min())
        yield f"{novel.where(row)}: tv_distance is {written(said[row])}, and {right} by the split"
    for row, other in enumerate(nearest):
        if other >= split.training_clients or differ(distances[row, other], distances[row].min(), 1e-9):
            right = distances[row].argmin()
            yield f"{novel.where(row)}: nearest_client is {other}, and {right} by the split"


def check_clusters(clusters: Sheet, record: Record, document: Document, split: Split) -> Iterator[str]:
    """``clusters.csv``: everybody once, in a cluster, and in the split's group."""
    numbers, _ = clusters.counts("client"), clusters.counts("cluster")
    _everybody(clusters, numbers, np.arange(len(clusters)), 0, record)
    if split.groups is None:
        return
    for row, group in enumerate(clusters.texts("group")):
        if group != split.groups[numbers[row]]:
            right = shown(split.groups[numbers[row]])
            yield f"{clusters.where(row)}: group is {shown(group)}, and {right} by the split"


def check_vectors(vectors: Sheet, record: Record, document: Document, split: Split) -> Iterator[str]:
    """``vectors.csv``: everybody once, with numbers."""
    _everybody(vectors, vectors.counts("client"), np.arange(len(vectors)), 0, record)
    for column in vectors.at:
        if np.isnan(vectors.figures(column)).any():
            yield f"vectors.csv: {column} has cells without a number"


def _everybody(sheet: Sheet, numbers: np.ndarray, rows: np.ndarray, first: int, record: Record) -> None:
    """Contradiction unless these rows are of the clients from ``first`` on, in their order."""
    total, novel = int(record.scenario["clients"]), int(record.scenario.get("novel") or 0)
    expected = np.arange(first, total) if first else np.arange(total - novel)
    if len(rows) != len(expected):
        where = sheet.where(int(rows[0])) if len(rows) else sheet.name
        raise Contradiction(f"{where}: {len(rows)} clients follow, and there are {len(expected)}")
    for place in hits(numbers[rows] != expected):
        row = int(rows[place])
        raise Contradiction(f"{sheet.where(row)}: client is {numbers[row]} where {expected[place]} belongs")


def _check_percent(sheet: Sheet, name: str, correct: np.ndarray, samples: np.ndarray) -> Iterator[str]:
    """A share of right predictions is what was right of what there is."""
    if name not in sheet:
        return
    said = sheet.figures(name)
    for row in hits((correct > samples) | (samples == 0) | differ(said, 100 * correct / np.maximum(samples, 1))):
        of = f"{correct[row]} of {samples[row]}"
        yield f"{sheet.where(row)}: {name} is {written(said[row])}, and {of} are right"


def _check_range(sheet: Sheet, name: str) -> Iterator[str]:
    said = sheet.figures(name)
    for row in hits((said < 0) | (said > 100 + 1e-9)):
        yield f"{sheet.where(row)}: {name} is {written(said[row])}, which is no percentage"


class _Scores:
    """Correct predictions and samples per client, for the metrics of these alone."""

    def __init__(self, correct: np.ndarray, total: np.ndarray) -> None:
        self.correct, self.total = correct, total
        self.loss = np.full(len(total), np.nan)
        self.sums: Mapping[str, np.ndarray] = {}
