"""Shift, interval and power are those of the signed-rank test itself."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pfl_bench.results.statistics.signed_rank import (
    below_p,
    direction,
    power,
    scenarios_needed,
    seeds_needed,
    shift,
    signed_rank_p,
    smallest_found,
)

VALUES = st.lists(st.floats(-20, 20).map(lambda v: round(v, 3)), min_size=6, max_size=14, unique=True)


@settings(max_examples=40, deadline=None)
@given(values=VALUES)
def test_the_interval_has_the_shifts_that_the_test_does_not_reject(values):
    own = np.asarray(values)
    estimate, (low, high) = shift(own)
    assert low <= estimate <= high
    for end, outward in ((low, -1e-6), (high, 1e-6)):
        assert signed_rank_p(own - end - outward) <= 0.05 < signed_rank_p(own - end + outward)


def test_the_estimate_has_the_sign_of_the_ranks_where_the_mean_has_not():
    own = np.array([1.0 + k / 10 for k in range(12)] + [-49.0])
    estimate, (low, _) = shift(own)
    assert own.mean() < 0 < low < estimate < 2.1 and signed_rank_p(own) < 0.05


def test_with_fewer_than_six_there_is_no_interval():
    assert math.isnan(shift(np.arange(5.0))[1][0]) and not math.isnan(shift(np.arange(6.0))[1][0])
    assert math.isnan(shift(np.array([]))[0])


def test_what_is_below_a_margin_is_scipys_one_sided_test():
    own = np.random.default_rng(0).normal(0, 1, 13)
    assert below_p(own, 1.0) == pytest.approx(stats.wilcoxon(1.0 - own, alternative="greater").pvalue)
    assert below_p(own, -1.0) > 0.9 and below_p(np.ones(4), 1.0) == 1.0


@pytest.mark.parametrize("comparisons", [1, 8, 50])
def test_the_smallest_difference_is_found_four_times_in_five(comparisons):
    """Simulated with other draws than its own, by SciPy's exact test."""
    found = smallest_found(2.0, 13, comparisons)
    drawn = np.random.default_rng(5).normal(found, 2.0, (1500, 13))
    rejected = stats.wilcoxon(drawn, axis=1, method="exact").pvalue <= 0.05 / comparisons
    assert rejected.mean() == pytest.approx(0.8, abs=0.04)
    assert smallest_found(2.0, seeds_needed(comparisons) - 1, comparisons) == math.inf


def test_power_goes_on_where_it_is_no_longer_simulated():
    assert power(0.5, 60, 10) == pytest.approx(power(0.5, 61, 10), abs=0.06)
    assert power(1.0, 10, 50) == 0.0, "no 10 scenarios can reject among fifty"


def test_what_is_needed_is_the_first_number_that_finds_it():
    needed = int(scenarios_needed(1.5, 1.0, 50))
    assert power(1.5, needed, 50) >= 0.8 > power(1.5, needed - 1, 50)
    assert scenarios_needed(100.0, 1.0, 50) == seeds_needed(50) == scenarios_needed(1.0, 0.0, 50) == 11
    assert scenarios_needed(0.2, 1.0, 50) > 60 and scenarios_needed(0.0, 1.0, 5) == math.inf
    assert math.isnan(scenarios_needed(1.0, math.nan, 5))


def test_the_side_is_that_of_the_ranks_whatever_the_mean():
    values = np.array([*np.arange(1, 12) / 10, -50.0])
    assert values.mean() < 0 and direction(values) == 1 == -direction(-values) and signed_rank_p(values) < 0.05
    zeros = np.array([0.0] * 15 + [1.0, 2, 3, 4, 5, 6])
    assert shift(zeros)[0] == 0 and direction(zeros) == 1 and signed_rank_p(zeros) < 0.05
    assert direction(np.zeros(4)) == direction(np.array([1.0, -1.0])) == 0
