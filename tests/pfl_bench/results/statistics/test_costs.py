import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from pfl_bench.results.statistics.costs import cost_to_target, default_targets, pareto_front


def history(**runs) -> pd.DataFrame:
    """Validation accuracies per run, one evaluation every ten visits; names are entry_seed."""
    rows = []
    for name, accuracies in runs.items():
        entry, seed = name.split("_")
        for k, accuracy in enumerate(accuracies, start=1):
            rows.append({"scenario": "s", "entry": entry, "seed": int(seed), "visits": 10 * k, "accuracy": accuracy,
                         "bytes_down": 100 * k, "bytes_up": 50 * k, "local_steps": 500 * k})  # fmt: skip
    return pd.DataFrame(rows)


def test_the_first_evaluation_that_reaches_the_target_counts():
    table = cost_to_target(history(a_0=[10, 85, 80, 99], a_1=[10, 20, 81, 70], a_2=[1, 2, 3, 4]), {"s": 80.0})
    row = table.iloc[0]
    assert (row["reached"], row["runs"]) == (2, 3)
    assert (row["visits_to_target"], row["bytes_to_target"], row["local_steps_to_target"]) == (30, 450, 1500)


def test_a_model_that_adapts_first_costs_its_own_adaptation_and_no_earlier_ones():
    """20 clients take 7 steps each before every evaluation: the second one costs 1000 local steps and 140."""
    frame = history(a_0=[10, 85, 99]).assign(moment="adapted", adapt_steps=[140, 280, 420])
    assert cost_to_target(frame, {"s": 80.0})["local_steps_to_target"].tolist() == [1140]
    received = cost_to_target(frame.assign(moment="received"), {"s": 80.0})
    assert received["local_steps_to_target"].tolist() == [1000], "its own moment adapts nothing"
    shuffled = cost_to_target(frame.iloc[::-1], {"s": 80.0})
    assert shuffled["local_steps_to_target"].tolist() == [1140]


def test_no_median_unless_more_than_half_reach_it():
    table = cost_to_target(history(a_0=[90], a_1=[10], a_2=[20]), {"s": 80.0})
    assert table["reached"].iloc[0] == 1 and table["visits_to_target"].isna().all()


def test_default_target_and_unknown_scenarios():
    frame = history(a_0=[50, 87.7], b_0=[20, 30])
    assert default_targets(frame) == {"s": 78.0}
    assert cost_to_target(frame, {}).empty


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=15))
def test_the_front_is_what_nobody_beats(points):
    cost, gain = (np.asarray(column, dtype=float) for column in zip(*points, strict=True))
    front = pareto_front(cost, gain)
    assert front.any()
    for k in range(len(cost)):
        beaten = any(
            cost[j] <= cost[k] and gain[j] >= gain[k] and (cost[j], gain[j]) != (cost[k], gain[k])
            for j in range(len(cost))
        )
        assert front[k] == (not beaten)
    assert front.tolist() == pareto_front(cost[::-1], gain[::-1])[::-1].tolist()


def test_known_front():
    assert pareto_front(np.array([1.0, 2, 3]), np.array([5.0, 4, 6])).tolist() == [True, False, True]
