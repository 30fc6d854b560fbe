import json

import pandas as pd
import pytest

from pfl_bench.results.statistics.transfer import transferred


def trials_of(method, scores, seeds=2, **fixed):
    """A row per scenario, point and seed; ``scores``: by scenario, by learning rate, on validation or a status."""
    return pd.DataFrame(
        [
            {"run_id": f"{method}-{scenario}-{lr}-{seed}", "scenario": scenario, "method": method, "seed": seed,
             "status": "finished" if isinstance(score, float) else score,
             "validation_accuracy": score if isinstance(score, float) else None,
             "config": json.dumps({**fixed, "lr": lr}, sort_keys=True)}
            for scenario, own in scores.items() for lr, score in own.items() for seed in range(seeds)
        ]
    )  # fmt: skip


def test_the_best_mean_rank_over_the_scenarios_not_the_best_mean():
    scores = {
        "a": {0.1: 60.0, 0.01: 61.0, 0.3: 20.0},
        "b": {0.1: 70.0, 0.01: 71.0, 0.3: 20.0},
        "c": {0.1: 95.0, 0.01: 50.0, 0.3: 20.0},
    }
    (found,) = transferred(trials_of("fedavg", scores, momentum=0.9))
    assert found.values == {"lr": 0.01} and found.mean_rank == pytest.approx(4 / 3)
    assert (found.points, found.scenarios) == (3, 3)


def test_points_count_that_every_scenario_has():
    scores = {"a": {0.1: 60.0, 0.01: 50.0}, "b": {0.1: 60.0, 0.01: 50.0, 0.9: 99.0}}
    (found,) = transferred(trials_of("fedavg", scores))
    assert found.values == {"lr": 0.1} and found.points == 2


def test_a_point_that_fails_anywhere_is_last_there():
    scores = {"a": {0.1: "diverged", 0.01: 50.0, 0.03: 40.0}, "b": {0.1: 90.0, 0.01: 50.0, 0.03: 40.0}}
    (found,) = transferred(trials_of("fedavg", scores))
    assert found.values == {"lr": 0.01}
    half = trials_of("fedavg", {"a": {0.1: 90.0, 0.01: 50.0}})
    half.loc[(half["seed"] == 1) & half["config"].str.contains("0.1}"), "status"] = "failed"
    assert transferred(half)[0].values == {"lr": 0.01}


def test_ties_go_to_the_better_mean_and_what_suits_no_scenario_has_no_row():
    scores = {"a": {0.1: 60.0, 0.01: 61.0}, "b": {0.1: 75.0, 0.01: 70.0}}
    (found,) = transferred(trials_of("fedavg", scores))
    assert found.values == {"lr": 0.1} and found.mean_rank == 1.5
    skipped = trials_of("pefll", {"a": {0.1: 60.0, 0.01: 61.0}, "text": {0.1: "skipped", 0.01: "skipped"}})
    nowhere = trials_of("other", {"text": {0.1: "skipped"}})
    (found,) = transferred(pd.concat([skipped, nowhere]))
    assert (found.method, found.scenarios, found.values) == ("pefll", 1, {"lr": 0.01})


def test_each_method_for_itself():
    frames = [trials_of(name, {"a": {0.1: 60.0, 0.01: score}}) for name, score in (("x", 70.0), ("b", 50.0))]
    assert [(t.method, t.values["lr"]) for t in transferred(pd.concat(frames))] == [("b", 0.1), ("x", 0.01)]


def test_editions_of_a_scenario_count_once():
    half, whole = {1.0: 90.0, 2.0: 10.0}, {1.0: 90.0, 2.0: 10.0}
    scores = {"a-v1@0.5x": half, "b-v1@0.5x": {1.0: 80.0, 2.0: 90.0}, "c-v1@0.5x": {1.0: 80.0, 2.0: 90.0}}
    (found,) = transferred(trials_of("fedavg", {**scores, "a-v1": whole, "a-v1@0.25x": whole}))
    assert found.values == {"lr": 2.0} and found.scenarios == 3


def test_a_point_counts_where_it_has_the_seeds_that_most_have():
    """0.1 is ahead at seed 0 only because it was tried at no other; what was tried at seed 2 alone is no mean."""
    trials = trials_of("fedavg", {"a": {0.1: 60.0, 0.01: 50.0, 0.03: 55.0}})
    trials.loc[trials["seed"] == 0, "validation_accuracy"] += 4.0
    lacking = trials[~(trials["config"].str.contains("0.1}") & (trials["seed"] == 1))]
    (found,) = transferred(lacking)
    assert found.values == {"lr": 0.03} and found.points == 2
    more = trials_of("fedavg", {"a": {0.01: 90.0}}, seeds=3).tail(1)
    (found,) = transferred(pd.concat([trials, more]))
    assert found.values == {"lr": 0.1} and found.points == 3, "the third seed is one point's alone"


@pytest.mark.parametrize(("best", "values"), [(0.1, {"lr": 0.1}), (0.9, {"extra": 2.0, "lr": 0.9})])
def test_a_field_that_a_configuration_lacks_is_left_out(best, values):
    """A later version of a method may have a field more."""
    scores = {lr: 90.0 if lr == best else 50.0 for lr in (0.1, 0.9)}
    frames = [trials_of("fedavg", {"a": {0.1: scores[0.1]}}), trials_of("fedavg", {"a": {0.9: scores[0.9]}}, extra=2.0)]
    assert [found.values for found in transferred(pd.concat(frames))] == [values]
