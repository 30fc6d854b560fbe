"""Selection on validation: which evaluations of a run are reported."""

from collections.abc import Sequence
from typing import Any

import torch

from .evaluation import Scores
from .events import Row
from .method import Moment

Picks = dict[str, dict[str, Any]]
"""Test scores kept per ``<moment>/best`` and ``<moment>/last``; tensors and plain values, so it can be checkpointed."""


def is_selectable(selected_from: float, began: int, visits: int, budget: int) -> bool:
    """Whether the best evaluation may be the one after a round that took a run from ``began`` to ``visits`` visits.

    Only if that round began when the share ``selected_from`` of the budget was spent, and always at the budget's end.
    """
    return visits >= budget or began >= selected_from * budget


def remember(
    picks: Picks, moment: Moment, visits: int, validation: Scores, test: Scores, *, selectable: bool = True
) -> None:
    """Take note of an evaluation, in place.

    It replaces the best only if it is ``selectable`` and strictly better on validation; ``candidates`` counts the
    selectable ones.
    """
    accuracy = validation.summary()["accuracy"]
    entry = {
        "validation_accuracy": accuracy,
        "visits": visits,
        "correct": torch.from_numpy(test.correct),
        "total": torch.from_numpy(test.total),
        "loss": torch.from_numpy(test.loss),
        "sums": {key: torch.from_numpy(values) for key, values in test.sums.items()},
    }
    best, last = picks.get(f"{moment}/best"), picks.get(f"{moment}/last", {})
    picks[f"{moment}/last"] = entry | {"candidates": last.get("candidates", 0) + selectable}
    if selectable and (best is None or accuracy > best["validation_accuracy"]):
        picks[f"{moment}/best"] = entry


def summarise(picks: Picks, train_sizes: Sequence[int]) -> tuple[dict[str, dict[str, Row]], list[Row]]:
    """The statistics per moment and selection, and a row per moment, selection and client."""
    summary: dict[str, dict[str, Row]] = {}
    candidates = {key.split("/")[0]: pick["candidates"] for key, pick in picks.items() if "candidates" in pick}
    clients: list[Row] = []
    for key, pick in sorted(picks.items()):
        moment, selection = key.split("/")
        correct, total, loss = (pick[name].cpu().numpy() for name in ("correct", "total", "loss"))
        scores = Scores(correct, total, loss, {key: values.cpu().numpy() for key, values in pick["sums"].items()})
        summary.setdefault(moment, {})[selection] = {
            "visits": pick["visits"],
            "validation_accuracy": pick["validation_accuracy"],
            **({"candidates": candidates[moment]} if moment in candidates else {}),
            **scores.summary(),
        }
        for client, accuracy in enumerate(scores.accuracies):
            clients.append(
                {
                    "moment": moment,
                    "selection": selection,
                    "client": client,
                    "train_samples": train_sizes[client],
                    "test_samples": int(scores.total[client]),
                    "test_correct": int(scores.correct[client]),
                    "test_accuracy": float(accuracy),
                }
            )
    return summary, clients
