"""Selection on validation: which evaluations of a run are reported."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from pfl_bench.metrics import PRIMARY

from .evaluation import Scores
from .events import Row
from .method import Moment
from .union import union_figures

Picks = dict[str, dict[str, Any]]
"""Test scores kept per ``<moment>/best`` and ``<moment>/last``; tensors and plain values, so it can be checkpointed."""


def is_selectable(selected_from: float, began: int, visits: int, budget: int) -> bool:
    """Whether the best evaluation may be the one after a round that took a run from ``began`` to ``visits`` visits.

    Only if that round began when the share ``selected_from`` of the budget was spent, and always at the budget's end.
    """
    return visits >= budget or began >= selected_from * budget


def remember(
    picks: Picks, moment: Moment, visits: int, validation: Scores, test: Scores, *, primary: str = PRIMARY,
    selectable: bool = True,
) -> None:  # fmt: skip
    """Take note of an evaluation, in place.

    It replaces the best only if it is ``selectable`` and its ``primary`` metric is strictly better on validation;
    ``candidates`` counts the selectable ones.
    """
    reached = validation.summary()
    entry = {
        "validation_accuracy": reached["accuracy"],
        **({} if primary == PRIMARY else {"validation_primary": reached[primary]}),
        "visits": visits,
        "correct": torch.from_numpy(test.correct),
        "total": torch.from_numpy(test.total),
        "loss": torch.from_numpy(test.loss),
        "sums": {key: torch.from_numpy(values) for key, values in test.totals.items()},
    }
    best, last = picks.get(f"{moment}/best"), picks.get(f"{moment}/last", {})
    picks[f"{moment}/last"] = entry | {"candidates": last.get("candidates", 0) + selectable}
    if selectable and (best is None or _reached(entry) > _reached(best)):
        picks[f"{moment}/best"] = entry


def _reached(pick: dict[str, Any]) -> float:
    """What an evaluation is chosen by; one whose primary metric is NaN is the last choice."""
    found = float(pick.get("validation_primary", pick["validation_accuracy"]))
    return -math.inf if math.isnan(found) else found


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
            **{name: pick[name] for name in ("validation_accuracy", "validation_primary") if name in pick},
            **({"candidates": candidates[moment]} if moment in candidates else {}),
            **scores.summary(),
            **(union_figures(pick["union"]) if "union" in pick else {}),
            **_hurt(picks, moment, selection),
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


def _hurt(picks: Picks, moment: str, selection: str) -> Row:
    """The share of clients, in percent, that personalisation hurts as far as one run can know: their own model is less
    accurate on their test samples than the global model of the same run, each at its selected evaluation.

    Nothing for the global model itself, and where the method has none.
    """
    personal, shared = picks[f"{moment}/{selection}"], picks.get(f"global/{selection}")
    if moment == "global" or shared is None:
        return {}
    return {"hurt": 100 * float((personal["correct"] < shared["correct"]).double().mean())}
