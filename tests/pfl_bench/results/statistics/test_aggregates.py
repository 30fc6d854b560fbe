import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfl_bench.results.statistics.aggregates import aggregate, interquartile_mean, probability_of_improvement


def runs(**entries) -> pd.DataFrame:
    rows = [
        {"scenario": scenario, "entry": entry, "seed": seed, "accuracy": value}
        for entry, scenarios in entries.items()
        for scenario, values in scenarios.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_interquartile_mean_leaves_out_a_quarter_on_either_side():
    assert interquartile_mean(np.array([0.0, 10, 20, 1000])) == 15
    assert np.isnan(interquartile_mean(np.array([])))


def test_probability_of_improvement_by_hand():
    """s: of four pairs (2>1, 2=2, 3>1, 3>2) three and a half are won; t: none. Mean 0.4375."""
    frame = runs(a={"s": [2, 3], "t": [0]}, b={"s": [1, 2], "t": [1]})
    assert probability_of_improvement(frame, "a", "b") == pytest.approx((3.5 / 4 + 0) / 2)
    assert probability_of_improvement(frame, "b", "a") == pytest.approx(1 - (3.5 / 4 + 0) / 2)
    assert np.isnan(probability_of_improvement(runs(a={"s": [1]}, b={"t": [1]}), "a", "b"))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_probabilities_of_both_directions_add_up(a, b):
    frame = runs(a={"s": a}, b={"s": b}).sample(frac=1, random_state=0)
    assert probability_of_improvement(frame, "a", "b") + probability_of_improvement(frame, "b", "a") == pytest.approx(1)
    assert probability_of_improvement(frame, "a", "a") == pytest.approx(0.5)


def test_aggregate_has_a_row_per_entry():
    table = aggregate(runs(a={"s": [1, 2, 3, 100]}, b={"s": [0, 0, 0, 0]}), "b").set_index("entry")
    assert table.loc["a", "interquartile_mean"] == 2.5 and table.loc["b", "scenarios"] == 1
    assert table.loc["a", "probability_of_improvement"] == 1.0
    assert aggregate(runs(a={"s": [1]}).iloc[:0], "a").empty


def test_interquartile_means_are_over_the_same_scenarios():
    """b and c took part in t, where all are worse; a, which did not, has no figure beside theirs."""
    frame = runs(a={"s": [60]}, b={"s": [70], "t": [10]}, c={"s": [50], "t": [12]})
    assert aggregate(frame, "a").set_index("entry")["interquartile_mean"].to_dict() == {"b": 40, "c": 31}
    assert len(aggregate(runs(a={"s": [60]}, b={"t": [70]}), "a")) == 1
