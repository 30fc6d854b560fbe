"""Models that were trained elsewhere, scored by our metrics: what a client reports of its samples, and what follows.

A report holds sums over the client's samples, numbers and flat lists alone, so that it travels in any framework's
message and no sample or prediction does.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pfl_bench.metrics import summarise, tallies

from .evaluation import Scores

Report = dict[str, float | list[float]]


@torch.no_grad()
def report_of(logits: Tensor, labels: Tensor) -> Report:
    """What metrics take of a client's logits ``[n, classes]`` and labels ``[n]``: ``total``, ``correct``, the summed
    cross-entropy ``loss``, and every tally, flat."""
    real = torch.ones((1, len(labels)), dtype=torch.bool, device=labels.device)
    found: Report = {
        "total": float(len(labels)),
        "correct": float((logits.argmax(-1) == labels).sum()),
        "loss": float(F.cross_entropy(logits, labels, reduction="sum")),
    }
    for tally in tallies():
        found[tally.key] = [float(value) for value in tally.of(logits[None], labels[None], real)[0].flatten().double()]
    return found


def summary_of(reports: Sequence[Mapping[str, float | Sequence[float]]]) -> dict[str, float]:
    """Every metric of ``pfl_bench.metrics.METRICS`` over these clients, one report each."""

    def of(key: str) -> np.ndarray:
        return np.asarray([report[key] for report in reports], dtype=np.float64)

    shapes = {tally.key: tally.of(*_nothing())[0].shape[0] for tally in tallies()}
    sums = {key: of(key).reshape(len(reports), rows, -1) for key, rows in shapes.items()}
    return summarise(Scores(of("correct"), of("total"), of("loss") / of("total"), sums))


def _nothing() -> tuple[Tensor, Tensor, Tensor]:
    """Logits, labels and marks of one padded sample: a tally of it says how many rows it has."""
    return torch.zeros(1, 1, 2), torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, 1, dtype=torch.bool)
