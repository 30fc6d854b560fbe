import math

import pandas as pd
import pytest

from pfl_bench.results.statistics.gaps import gap_line, gaps


def test_gap_is_the_training_accuracy_minus_the_clients():
    runs = pd.DataFrame({"run_id": ["a"], "last_accuracy": [80.0]})
    rows = pd.DataFrame({"run_id": ["a", "a"], "test_accuracy": [70.0, 90.0], "samples": [5, "all"]})
    found = gaps(runs, rows)
    assert found["gap"].tolist() == [10.0, -10.0] and found["samples"].tolist() == ["5", "all"]


def test_the_line_goes_through_the_clients():
    line = gap_line(pd.DataFrame({"tv_distance": [0.1, 0.2, 0.3], "gap": [3.0, 5.0, 7.0]}))
    assert (line.slope, line.intercept, line.at(0.5)) == pytest.approx((20.0, 1.0, 11.0)) and line.p_value < 1e-6


def test_two_clients_have_a_line_without_a_test_and_equal_distances_none():
    two = pd.DataFrame({"tv_distance": [0.1, 0.2], "gap": [1.0, 2.0]})
    assert gap_line(two).slope == pytest.approx(10) and math.isnan(gap_line(two).p_value)
    assert gap_line(two.assign(tv_distance=0.1)) is None and gap_line(two.iloc[:0]) is None
