"""What a run reports of its clients' scores, as data: what each figure means and how it is computed. NumPy only.

One entry of ``METRICS`` is all that a further figure takes: evaluation computes it, ``run.json`` and ``history.csv``
keep it, and the results' columns (``pfl_bench.results.columns``) follow.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

Better = Literal["higher", "lower", "none"]


class ClientScores(Protocol):
    """Per client: correct predictions, samples, mean cross-entropy, and by metric the sum of what it takes of a sample.

    Arrays ``[clients]``.
    """

    @property
    def correct(self) -> np.ndarray: ...  # noqa: D102

    @property
    def total(self) -> np.ndarray: ...  # noqa: D102

    @property
    def loss(self) -> np.ndarray: ...  # noqa: D102

    @property
    def sums(self) -> Mapping[str, np.ndarray]: ...  # noqa: D102


@dataclass(frozen=True)
class Metric:
    """One figure over all clients of an evaluation.

    ``sample``: what the figure needs of every sample beside correctness and loss, from logits ``[c, B, classes]`` and
    labels ``[c, B]`` to ``[c, B]`` (methods of the tensors are enough); its sum per client is in ``scores.sums[key]``.
    ``averaged``: whether the leaderboard has its mean over seeds. ``shown``: whether the tables to read have it too,
    not only the CSV files; ``keep`` orders which of them a narrow terminal goes without, the lowest first.
    """

    key: str
    of: Callable[[ClientScores], float]
    heading: str
    note: str
    unit: str = "percent"
    digits: int = 2
    better: Better = "higher"
    averaged: bool = True
    shown: bool = False
    keep: int = 0
    sample: Callable[[Any, Any], Any] | None = None


def accuracies(scores: ClientScores) -> np.ndarray:
    """Accuracy per client, in percent. ``[clients]``."""
    return 100.0 * scores.correct / scores.total


def worst_decile(values: np.ndarray) -> float:
    """Mean of the lowest tenth, of at least one value."""
    return float(np.sort(values)[: math.ceil(len(values) / 10)].mean())


def _over_clients(statistic: Callable[[np.ndarray], float]) -> Callable[[ClientScores], float]:
    """A statistic of the clients' accuracies, sorted: the order in which a sum is taken is part of its last bit."""
    return lambda scores: float(statistic(np.sort(accuracies(scores))))


METRICS = (
    Metric(
        "accuracy",
        lambda scores: 100.0 * float(scores.correct.sum() / scores.total.sum()),
        "accuracy",
        "pooled test accuracy: over all samples of all clients",
        averaged=False,  # the primary figure: the leaderboard has mean, spread, interval and rank of it
    ),
    Metric("client_mean", _over_clients(np.mean), "client mean", "mean accuracy over clients"),
    Metric("client_std", _over_clients(np.std), "client std", "standard deviation of accuracy over clients", "points",
           better="lower"),
    Metric("worst_decile", _over_clients(worst_decile), "worst decile",
           "mean accuracy of the tenth of the clients with the lowest", shown=True, keep=3),
    Metric("client_min", _over_clients(np.min), "worst client", "accuracy of the client with the lowest"),
    Metric("loss", lambda scores: float(scores.loss.mean()), "loss", "mean of the clients' mean cross-entropies",
           "nats", digits=4, better="lower", averaged=False),
)  # fmt: skip


def summarise(scores: ClientScores) -> dict[str, float]:
    """Every metric of an evaluation by its key."""
    return {metric.key: metric.of(scores) for metric in METRICS}
