"""Which evaluations of a run are reported."""

import numpy as np
import pytest

from pfl_bench.engine import checkpoint
from pfl_bench.engine.evaluation import Scores
from pfl_bench.engine.selection import is_selectable, remember, summarise


def scores(*correct: int) -> Scores:
    return Scores(np.array(correct), np.full(len(correct), 10), np.full(len(correct), 0.5))


def test_the_first_best_on_validation_wins_and_the_last_is_kept_beside_it():
    picks = {}
    for visits, validation, test in ((5, 6, 1), (10, 8, 2), (15, 8, 3), (20, 7, 9)):
        remember(picks, "received", visits, scores(validation), scores(test))
    summary, _ = summarise(picks, [30])
    best, last = summary["received"]["best"], summary["received"]["last"]
    assert (best["visits"], best["validation_accuracy"], best["accuracy"]) == (10, 80, 20), "not the best on test"
    assert (last["visits"], last["validation_accuracy"], last["accuracy"]) == (20, 70, 90)


def test_an_evaluation_of_a_warm_start_is_not_chosen_and_the_last_one_always_may_be():
    picks, began = {}, 0
    for visits, validation in ((5, 9), (10, 8), (15, 7), (20, 6)):
        own = is_selectable(0.5, began, visits, 20)
        assert own == (visits > 10), "the round to visit 10 began before the warm start's end"
        remember(picks, "received", visits, scores(validation), scores(validation), selectable=own)
        began = visits
    summary, _ = summarise(picks, [30])
    assert (summary["received"]["best"]["visits"], summary["received"]["last"]["visits"]) == (15, 20)
    assert is_selectable(1.0, 15, 20, 20), "a run that was nothing but a warm start still has a result"


def test_moments_are_chosen_apart():
    picks = {}
    remember(picks, "global", 5, scores(9), scores(1))
    remember(picks, "adapted", 5, scores(1), scores(2))
    remember(picks, "global", 10, scores(1), scores(3))
    remember(picks, "adapted", 10, scores(9), scores(4))
    summary, _ = summarise(picks, [30])
    assert {moment: each["best"]["visits"] for moment, each in summary.items()} == {"global": 5, "adapted": 10}


def test_a_row_per_moment_selection_and_client():
    picks = {}
    remember(picks, "global", 5, scores(5, 5), scores(4, 7))
    _, rows = summarise(picks, [30, 40])
    assert len(rows) == 4
    assert rows[1] == {
        "moment": "global", "selection": "best", "client": 1, "train_samples": 40, "test_samples": 10,
        "test_correct": 7, "test_accuracy": pytest.approx(70),
    }  # fmt: skip


def test_picks_can_be_checkpointed():
    picks = {}
    remember(picks, "global", 5, scores(5, 5), scores(4, 7))
    assert summarise(checkpoint.loads(checkpoint.dumps(picks)), [1, 2]) == summarise(picks, [1, 2])


def test_whom_personalisation_hurts_is_told_beside_a_global_model():
    picks = {}
    remember(picks, "global", 5, scores(5, 5, 5), scores(4, 7, 2))
    remember(picks, "received", 5, scores(5, 5, 5), scores(4, 6, 3))
    summary, _ = summarise(picks, [30, 40, 50])
    assert summary["received"]["best"]["hurt"] == pytest.approx(100 / 3)
    assert summary["received"]["last"]["hurt"] == summary["received"]["best"]["hurt"]
    assert "hurt" not in summary["global"]["best"]
