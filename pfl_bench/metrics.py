"""What a run reports of its clients' scores, as data: what each figure means and how it is computed. NumPy only.

One entry of ``METRICS`` is all that a further figure takes: evaluation computes it, ``run.json`` and ``history.csv``
keep it, and the results' columns (``pfl_bench.results.columns``) follow. A scenario's ``primary`` metric is one of
``LEADING``: it chooses on validation data, and ranks.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from .tallies import BY_CLASS, BY_CONFIDENCE, BY_PAIR, Tally

Better = Literal["higher", "lower", "none"]


Shown = Literal["everywhere", "report", "nowhere"]

PRIMARY = "accuracy"
"""What leads where a scenario does not say."""


class ClientScores(Protocol):
    """Per client: correct predictions, samples, mean cross-entropy, arrays ``[clients]``; and by its key each tally,
    ``[clients, ...]``, or ``[1, ...]`` where it was summed over clients already.
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

    ``tally``: what the figure needs of the samples beside correctness and loss; its sum over clients is
    ``pooled(scores, tally)``. ``averaged``: whether the leaderboard has its mean over seeds. ``shown``: which tables to
    read have it too, besides the CSV files; ``keep`` orders which of them a narrow terminal goes without, the lowest
    first. ``later``: older runs do not have it, and a table of such runs alone has no column for it. ``defined``:
    whether the figure exists for clients with these labels ``[n]``; ``undefined`` says what it lacks where it does not.
    """

    key: str
    of: Callable[[ClientScores], float]
    heading: str
    note: str
    unit: str = "percent"
    digits: int = 2
    better: Better = "higher"
    averaged: bool = True
    shown: Shown = "nowhere"
    keep: int = 0
    tally: Tally | None = None
    later: bool = False
    defined: Callable[[Iterable[np.ndarray]], bool] = lambda labels: True
    undefined: str = ""

    @property
    def leads(self) -> bool:
        """Whether it can be a scenario's primary metric: statistics and tables are of percentages, the higher the
        better."""
        return self.unit == "percent" and self.better == "higher"


def accuracies(scores: ClientScores) -> np.ndarray:
    """Accuracy per client, in percent. ``[clients]``."""
    return 100.0 * scores.correct / scores.total


def worst_decile(values: np.ndarray) -> float:
    """Mean of the lowest tenth, of at least one value."""
    return float(np.sort(values)[: math.ceil(len(values) / 10)].mean())


def _over_clients(statistic: Callable[[np.ndarray], float]) -> Callable[[ClientScores], float]:
    """A statistic of the clients' accuracies, sorted: the order in which a sum is taken is part of its last bit."""
    return lambda scores: float(statistic(np.sort(accuracies(scores))))


def pooled(scores: ClientScores, tally: Tally) -> np.ndarray:
    """A tally summed over clients, float64 ``[...]``."""
    found: np.ndarray = scores.sums[tally.key].sum(axis=0, dtype=np.float64)
    return found


def _mean_percent(values: np.ndarray) -> float:
    return 100.0 * float(values.mean()) if len(values) else math.nan


def balanced_accuracy(scores: ClientScores) -> float:
    """Mean over the classes that occur of the share of their samples that are predicted right, percent."""
    held, _, right = pooled(scores, BY_CLASS)
    return _mean_percent(right[held > 0] / held[held > 0])


def macro_f1(scores: ClientScores) -> float:
    """Mean over the classes that occur or are predicted of F1, 2 right / (samples + predicted), percent."""
    held, predicted, right = pooled(scores, BY_CLASS)
    either = held + predicted
    return _mean_percent(2 * right[either > 0] / either[either > 0])


def auc(scores: ClientScores) -> float:
    """Area under the ROC curve, one class against the rest, mean over classes, percent; exact.

    Of a class, the share of pairs of one of its samples and one of another class in which the former has the greater
    probability of the class; equal ones count half. Both samples are of one client: pairs are compared under one model,
    and so add up over clients. NaN where no client has samples of two classes.
    """
    won, pairs = pooled(scores, BY_PAIR)
    return _mean_percent(won[pairs > 0] / pairs[pairs > 0])


def two_classes_meet(labels: Iterable[np.ndarray]) -> bool:
    """Whether a client has samples of two classes."""
    return any(len(own) and own.min() != own.max() for own in labels)


def calibration_error(scores: ClientScores) -> float:
    """Expected calibration error of all samples, percent: |right - confidence| per bin (Naeini et al. 2015)."""
    _, right, confidence = pooled(scores, BY_CONFIDENCE)
    return 100.0 * float(np.abs(right - confidence).sum() / scores.total.sum())


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
           "mean accuracy of the tenth of the clients with the lowest", shown="everywhere", keep=3),
    Metric("client_min", _over_clients(np.min), "worst client", "accuracy of the client with the lowest"),
    Metric("loss", lambda scores: float(scores.loss.mean()), "loss", "mean of the clients' mean cross-entropies",
           "nats", digits=4, better="lower", averaged=False),
    Metric("balanced_accuracy", balanced_accuracy, "balanced accuracy",
           "mean over classes of accuracy on their samples, of all clients together", shown="report", tally=BY_CLASS,
           later=True),
    Metric("macro_f1", macro_f1, "macro F1", "mean over classes of F1, of all clients together", shown="report",
           tally=BY_CLASS, later=True),
    Metric("auc", auc, "AUC", "area under the ROC curve, one class against the rest, within clients, mean over classes",
           shown="report", tally=BY_PAIR, later=True, defined=two_classes_meet,
           undefined="no client has samples of two classes"),
    Metric("log_loss", lambda scores: float((scores.loss * scores.total).sum() / scores.total.sum()), "log loss",
           "mean cross-entropy over all samples of all clients", "nats", digits=4, better="lower", shown="report",
           later=True),
    Metric("calibration_error", calibration_error, "calibration error",
           "expected calibration error, 15 bins, of all clients together", "points", better="lower", shown="report",
           tally=BY_CONFIDENCE, later=True),
)  # fmt: skip


def leading() -> list[str]:
    """What a scenario's primary metric may be."""
    return [metric.key for metric in METRICS if metric.leads]


def named(key: str) -> Metric:
    """The metric with this key."""
    return next(metric for metric in METRICS if metric.key == key)


def tallies() -> list[Tally]:
    """Each tally that some metric takes, once."""
    return list(dict.fromkeys(metric.tally for metric in METRICS if metric.tally is not None))


def summarise(scores: ClientScores) -> dict[str, float]:
    """Every metric of an evaluation by its key, but for those whose tally it lacks: a checkpoint may be older."""
    return {m.key: m.of(scores) for m in METRICS if m.tally is None or m.tally.key in scores.sums}
