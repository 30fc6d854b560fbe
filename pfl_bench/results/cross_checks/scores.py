"""The figures of every evaluation: what they can be, given how many samples the clients have, and each other.

What is a share of so many samples is a whole number of them; a mean over clients lies between its bounds; a wrong
prediction costs at least ln 2 of loss, for a class that is not the likeliest has at most half the probability.
"""

import math
from collections.abc import Iterator

import numpy as np

from pfl_bench import metrics
from pfl_bench.results.record import Record

from .sheets import Sheet, hits, written
from .split import Split

FINEST = 10**11
"""What a figure in percent is a multiple of can be told up to so many parts of it."""
NEARLY = 1e-3
"""Of a part: how far from a whole number a multiple is by rounding."""
SLACK = 1e-6
"""Points by which a bound may be missed by rounding."""

Found = tuple[str, np.ndarray, str]
"""A column, which of its rows are wrong, and why."""


def check_scores(history: Sheet, record: Record, split: Split) -> Iterator[str]:
    """Figures of an evaluation that cannot be."""
    for (_, name), rows in history.evaluations.items():
        columns = {m.key: history.figures(m.key)[rows] for m in metrics.METRICS if m.key in history}
        sizes = split.sizes(name)
        of_class = None if split.of_class is None or record.scenario.get("shift") else split.of_class[name]
        told: set[int] = set()
        for column, wrong, why in _wrong(columns, sizes, of_class):
            for place in hits(wrong):
                if place not in told:  # one line for a cell: what follows from it would be named too
                    told.add(int(place))
                    figure = written(columns[column][place])
                    yield f"{history.where(int(rows[place]))}: {column} is {figure}{why}"


def _wrong(c: dict[str, np.ndarray], sizes: np.ndarray | None, of_class: np.ndarray | None) -> Iterator[Found]:
    for metric in metrics.METRICS:
        if metric.key in c:
            own, most = c[metric.key], math.inf if metric.unit == "nats" else 100 + SLACK
            what = "no loss" if metric.unit == "nats" else "not between 0 and 100"
            yield metric.key, (own < -SLACK) | (own > most), f", which is {what}"
            if metric.key != "auc":  # which may be undefined
                yield metric.key, np.isnan(own), ", where a figure belongs"
    if sizes is None or not len(sizes) or "accuracy" not in c:
        return
    yield "accuracy", _broken(c["accuracy"], int(sizes.sum())), f", no whole number of {sizes.sum()} samples"
    if {"client_mean", "client_std", "worst_decile", "client_min"} <= set(c):
        yield from _over_clients(c, sizes)
    yield from _losses(c, sizes)
    if of_class is not None and "balanced_accuracy" in c:
        yield from _over_classes(c, of_class[of_class > 0])


def _over_clients(c: dict[str, np.ndarray], sizes: np.ndarray) -> Iterator[Found]:
    """``sizes``: samples per client."""
    mean, spread, tenth, least = c["client_mean"], c["client_std"], c["worst_decile"], c["client_min"]
    clients, few = len(sizes), math.ceil(len(sizes) / 10)
    possible = np.all([_broken(least, int(size)) for size in np.unique(sizes)], axis=0)
    yield "client_min", possible, ", which no client can have of its samples"
    yield "client_min", least > tenth + SLACK, ", more than worst_decile"
    if few == 1:
        yield "worst_decile", np.abs(tenth - least) > SLACK, "; the worst client alone is it"
    parts = math.lcm(*map(int, np.unique(sizes)))
    yield "worst_decile", _broken(tenth, parts * few), ", no mean of clients' accuracies"
    yield "worst_decile", tenth > mean + SLACK, ", more than client_mean"
    yield "client_mean", _broken(mean, parts * clients), ", no mean of clients' accuracies"
    weights = sizes / sizes.sum() - 1 / clients
    far = np.sqrt(clients * (weights**2).sum())
    off = np.abs(c["accuracy"] - mean)
    yield "accuracy", off > far * 50 + SLACK, ", too far from client_mean"
    yield "client_std", off > far * spread + SLACK, ", too little for how far accuracy and client_mean are apart"
    yield "client_std", spread**2 > (100 - mean) * (mean - least) + 1e-4, ", more than client_mean and client_min allow"
    if clients > few:
        low = np.sqrt(few / (clients - few)) * (mean - tenth)
        yield "client_std", spread < low - 1e-4, ", less than worst_decile and client_mean allow"


def _losses(c: dict[str, np.ndarray], sizes: np.ndarray) -> Iterator[Found]:
    for loss, right in (("loss", "client_mean"), ("log_loss", "accuracy")):
        if loss in c and right in c:
            least = (1 - c[right] / 100) * math.log(2)
            yield loss, c[loss] < least * (1 - 1e-3) - SLACK, f", less than the wrong predictions by {right} cost"
    if "log_loss" in c and "loss" in c:
        lightest, heaviest = len(sizes) * sizes.min() / sizes.sum(), len(sizes) * sizes.max() / sizes.sum()
        low, high = c["loss"] * lightest, c["loss"] * heaviest
        off = (c["log_loss"] < low * (1 - 1e-6) - SLACK) | (c["log_loss"] > high * (1 + 1e-6) + SLACK)
        yield "log_loss", off, ", too far from loss"


def _over_classes(c: dict[str, np.ndarray], held: np.ndarray) -> Iterator[Found]:
    """``held``: samples per class, of those that occur."""
    balanced, right = c["balanced_accuracy"], c["accuracy"] / 100 * held.sum()
    parts = math.lcm(*map(int, held)) * len(held)
    yield "balanced_accuracy", _broken(balanced, parts), ", no mean of classes' accuracies"
    low, high = (_most_balanced(right, held, rare_first) for rare_first in (False, True))
    off = (balanced < low - 1e-4) | (balanced > high + 1e-4)
    yield "balanced_accuracy", off, ", which accuracy does not allow"
    if "macro_f1" in c:
        share = balanced / 100
        yield "macro_f1", c["macro_f1"] > 200 * share / (1 + share) + 1e-4, ", more than balanced_accuracy allows"


def _most_balanced(right: np.ndarray, held: np.ndarray, rare_first: bool) -> np.ndarray:
    """The greatest, or least, balanced accuracy with so many right predictions: rare classes count most."""
    ordered = np.sort(held) if rare_first else np.sort(held)[::-1]
    before = np.concatenate([[0], np.cumsum(ordered)[:-1]])
    shares = np.clip((right[:, None] - before) / ordered, 0, 1)
    found: np.ndarray = 100 * shares.mean(axis=1)
    return found


def _broken(percent: np.ndarray, parts: int) -> np.ndarray:
    """Whether a percentage is no whole number of so many parts; False where that cannot be told."""
    if parts > FINEST:
        return np.zeros(len(percent), dtype=bool)
    number = percent / 100 * parts
    return np.abs(number - np.rint(number)) > NEARLY + parts * 1e-12
