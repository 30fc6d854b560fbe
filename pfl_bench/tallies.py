"""What an evaluation takes of its samples for metrics: per client, and so that it adds up. Imports nothing.

A tally is made of all samples of some clients at once, by methods of the tensors alone: logits ``[c, B, classes]``,
labels ``[c, B]`` and ``real`` ``[c, B]``, false for padding, to figures ``[c, ...]``. Metrics see their sum over
clients, so it does not matter in which chunks clients were scored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BINS = 15
"""Of confidence, equally wide (Guo et al. 2017)."""

PAIRS, SORTED = 2**22, 9
"""Pairs of samples looked at together; samples per class from which on sorting is faster (measured)."""

BINNED = 2**15
"""Samples times bins looked at together."""


@dataclass(frozen=True)
class Tally:
    """``of(logits, labels, real)`` gives a tensor ``[c, ...]``, kept under ``key``; several metrics may share it."""

    key: str
    of: Callable[[Any, Any, Any], Any]


def by_class(logits: Any, labels: Any, real: Any) -> Any:
    """Per class: samples of it, samples predicted as it, samples of it that are predicted right. ``[c, 3, classes]``"""
    counts, predicted = real.to(labels.dtype), logits.argmax(-1)
    found = labels.new_zeros((labels.shape[0], 3, logits.shape[-1]))
    for row, (at, number) in enumerate(
        ((labels, counts), (predicted, counts), (labels, counts * (predicted == labels)))
    ):
        found[:, row].scatter_add_(1, at, number)
    return found


def by_confidence(logits: Any, labels: Any, real: Any) -> Any:
    """Per bin of the predicted class's probability: samples, right ones, sum of the probabilities. ``[c, 3, BINS]``

    Bin m of M holds the probabilities in (m/M, (m+1)/M].
    """
    if logits.device.type == "mps":  # Apple's GPUs have no float64
        logits, labels, real = logits.cpu(), labels.cpu(), real.cpu()
    confidence = logits.softmax(-1).amax(-1).double()
    right = (logits.argmax(-1) == labels).double()
    place = ((confidence * BINS).ceil() - 1).clamp(0, BINS - 1).nan_to_num(-1).masked_fill(~real, -1)
    column = place.long() + 1  # the first is of nobody: padding
    counts = confidence.new_zeros((labels.shape[0], 2, BINS + 1))
    counts[:, 0].scatter_add_(1, column, right.new_ones(right.shape))
    counts[:, 1].scatter_add_(1, column, right)
    found = confidence.new_zeros((labels.shape[0], 3, BINS))
    found[:, :2] = counts[..., 1:]
    together = max(1, BINNED // labels.numel())
    for first in range(0, BINS, together):  # no whole numbers: summed in a fixed order, unlike a GPU's scattered sum
        bins = column.new_ones(min(together, BINS - first)).cumsum(0).add(first).unsqueeze(-1)
        found[:, 2, first : first + together] = ((column.unsqueeze(1) == bins) * confidence.unsqueeze(1)).sum(-1)
    return found


def by_pair(logits: Any, labels: Any, real: Any) -> Any:
    """Per class: the pairs of a sample of it and one of another class, both of one client, in which the former has the
    greater probability of the class (2 each, and 1 where the two are equal), and twice all pairs. ``[c, 2, classes]``

    Whole numbers, so exact: Mann and Whitney's statistic, by ranks or pair by pair, whichever is less work.
    """
    count = _by_rank if labels.shape[1] > SORTED * logits.shape[-1] else _pair_by_pair
    return count(logits.log_softmax(-1), labels, real)


def _pair_by_pair(scores: Any, labels: Any, real: Any) -> Any:
    """Each sample against all of its client's, by the probability of its own class: B * B comparisons."""
    clients, length = labels.shape
    together = max(1, PAIRS // (clients * length))
    found = labels.new_zeros((clients, 2, scores.shape[-1]))
    for start in range(0, length, together):
        own = slice(start, start + together)
        kind = labels[:, own]  # [c, b]
        theirs = scores.gather(-1, kind.unsqueeze(1).expand(-1, length, -1))  # [c, B, b]: of everybody, for this class
        mine = scores[:, own].gather(-1, kind.unsqueeze(-1)).mT
        pairs = (labels.unsqueeze(-1) != kind.unsqueeze(1)) & real.unsqueeze(-1) & real[:, own].unsqueeze(1)
        won = ((theirs < mine) & pairs).sum(1) + ((theirs <= mine) & pairs).sum(1)
        found[:, 0].scatter_add_(1, kind, won)
        found[:, 1].scatter_add_(1, kind, 2 * pairs.sum(1))
    return found


def _by_rank(scores: Any, labels: Any, real: Any) -> Any:
    """All samples in the order of each class's probability: how many of other classes are below, and as high."""
    ordered, order = scores.mT.masked_fill(~real.unsqueeze(1), float("inf")).sort(dim=-1)  # padding behind the others
    classes, length = ordered.shape[1:]
    number = labels.new_ones(max(classes, length)).cumsum(0) - 1
    mine = ((labels.unsqueeze(1) == number[:classes, None]) & real.unsqueeze(1)).gather(-1, order)
    other = (real.unsqueeze(1).expand_as(order).gather(-1, order) & ~mine).long()
    place, higher = number[:length].expand_as(order), ordered.diff(dim=-1) > 0
    first, last = place.clone(), place.clone()  # of those with equal probabilities
    first[..., 1:] = place[..., 1:] * higher
    last[..., :-1] = place[..., :-1] * higher + (length - 1) * ~higher
    so_far = other.cumsum(-1)
    below = (so_far - other).gather(-1, first.cummax(-1).values)
    up_to = so_far.gather(-1, last.flip(-1).cummin(-1).values.flip(-1))
    found = labels.new_zeros((len(labels), 2, classes))
    found[:, 0] = ((below + up_to) * mine).sum(-1)
    found[:, 1] = 2 * mine.sum(-1) * other.sum(-1)
    return found


BY_CLASS, BY_CONFIDENCE, BY_PAIR = (Tally(own.__name__, own) for own in (by_class, by_confidence, by_pair))
