"""The global score beside the personal one: each client's own model on the test data of all clients.

It is taken once a run, at its last evaluation and the method's official moment, from the models that are evaluated
there anyway: nothing is trained, served or drawn for it that would not be without it. What one run alone cannot know,
who would be better off with another method, is ``results.statistics.clients``.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from pfl_bench.seeds import numpy_generator
from pfl_bench.tallies import BY_CLASS

from .evaluation import EvaluationSet, Scores
from .events import Row
from .places import Place

TIMES, MOST = 4, 1000
"""A client is scored on at most ``TIMES`` as many samples of the union as a client has test samples on average, and on
at most ``MOST``: the global score costs four evaluations on test data, however many clients there are."""


def union_size(sizes: Sequence[int]) -> int:
    """On how many samples of the union each client is scored; ``sizes``: test samples of each client."""
    return min(sum(sizes), MOST, math.ceil(TIMES * sum(sizes) / len(sizes)))


def union_sets(places: Sequence[Place], seed: int) -> list[EvaluationSet]:
    """Per place, each client's samples of the union of all clients' test data.

    All of them, or a random sample of its own for each client, the same for all methods: (seed, "union", client).
    Samples of their own make the mean over clients as good as a sample that is as many times larger.
    """
    parts = [_members(place.test) for place in places]
    sizes = [len(own) for part in parts for own in part]
    union, count = np.sort(np.concatenate([own for part in parts for own in part])), union_size(sizes)

    def drawn(client: int) -> np.ndarray:
        rng = numpy_generator(seed, "union", client)
        return union if count == len(union) else np.sort(rng.choice(union, size=count, replace=False))

    return [EvaluationSet.of(at.test.pool, tuple(drawn(number) for number in at.group.numbers)) for at in places]


def _members(data: EvaluationSet) -> list[np.ndarray]:
    indices, real = data.indices.cpu().numpy(), data.real.cpu().numpy()
    return [own[there] for own, there in zip(indices, real, strict=True)]


def class_weights(places: Sequence[Place]) -> np.ndarray:
    """What a sample of a class counts for a client, ``[clients, classes]``: the class's share among the client's
    training samples over its share in the union, 0 for a class that is not in it. Clients by number."""
    union = np.zeros(places[0].group.classes)
    for place in places:
        labels = place.test.pool.host_labels
        for own in _members(place.test):
            union += np.bincount(labels[own], minlength=len(union))
    order = np.argsort([number for place in places for number in place.group.numbers])
    held = np.concatenate([place.group.class_counts.cpu().numpy() for place in places])[order].astype(float)
    shares = held / held.sum(axis=1, keepdims=True)
    return np.divide(shares, union / union.sum(), out=np.zeros_like(shares), where=union > 0)


def reweighted(scores: Scores, weights: np.ndarray) -> np.ndarray:
    """Accuracy per client on its samples of the union, were their classes as frequent as among its training samples:
    sum w(y) right / sum w(y), percent. NaN for a client whose samples have none of its classes. ``[clients]``

    With equally many test samples of every class this is the personal score of pFedGraph (Ye et al. 2023, ICML), whose
    weights are the client's shares of classes.
    """
    held, _, right = np.moveaxis(scores.sums[BY_CLASS.key], 1, 0)
    total = (weights * held).sum(axis=1)
    found = np.full(len(total), math.nan)
    return np.divide(100 * (weights * right).sum(axis=1), total, out=found, where=total > 0)


def measured(scores: Scores, places: Sequence[Place]) -> dict[str, Tensor]:
    """What is kept of it per client: ``correct`` and ``total`` on its samples of the union, and ``reweighted``."""
    own = reweighted(scores, class_weights(places))
    return {name: torch.from_numpy(v) for name, v in (("correct", scores.correct), ("total", scores.total),
                                                      ("reweighted", own))}  # fmt: skip


def union_figures(union: Mapping[str, Tensor]) -> Row:
    """What a run reports of it: means over clients, in percent, and how many predictions they rest on."""
    own, known = union["reweighted"], ~union["reweighted"].isnan()
    return {
        "union_accuracy": float((100 * union["correct"].double() / union["total"]).mean()),
        "reweighted_accuracy": float(own[known].mean()),
        "union_samples": int(union["total"].sum()),
    }


def union_rows(union: Mapping[str, Tensor]) -> list[Row]:
    """A row per client."""
    columns = (union[name].tolist() for name in ("correct", "total", "reweighted"))
    return [
        {"client": client, "union_samples": total, "union_correct": correct, "union_accuracy": 100 * correct / total,
         "reweighted_accuracy": own}
        for client, (correct, total, own) in enumerate(zip(*columns, strict=True))
    ]  # fmt: skip
