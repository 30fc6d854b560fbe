import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfl_bench.results.statistics.best import confidence_set, seeds_to_exclude

NOISE = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed": lambda rng, shape: rng.exponential(size=shape),
    "unequal": lambda rng, shape: rng.normal(size=shape) * np.linspace(0.3, 3, shape[1]),
    "unequal and skewed": lambda rng, shape: (rng.exponential(size=shape) - 1) * np.linspace(0.3, 3, shape[1]),
}


def excluded(values: np.ndarray) -> np.ndarray:
    """Which entries of ``[seeds, entries]`` are found worse than the best."""
    return np.array([standing.excluded for standing in confidence_set(pd.DataFrame(values)).values()])


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("seeds", [5, 10])
def test_with_equal_methods_hardly_ever_is_one_found_worse(noise, seeds):
    """Eleven equal methods: somebody marked in 5 % of tables at most (here 300: 0.05 + 2 standard errors)."""
    rng = np.random.default_rng(1)
    alarms = [excluded(NOISE[noise](rng, (seeds, 11))).any() for _ in range(300 if seeds == 10 else 20)]
    assert np.mean(alarms) <= (0.076 if seeds == 10 else 0)


def test_with_some_worse_ones_the_equally_good_stay():
    """Three best ones among eleven, however far the others are behind; and those are found."""
    rng, wrong, found = np.random.default_rng(2), [], []
    for k in range(200):
        values = rng.normal(size=(10, 11))
        values[:, 3:] -= (1.5, 3.0)[k % 2]
        out = excluded(values)
        wrong.append(out[:3].any())
        found.append(out[3:].mean())
    assert np.mean(wrong) <= 0.081
    assert np.mean(found[::2]) > 0.65 and np.mean(found[1::2]) > 0.97, "Holm-corrected Wilcoxon: 0.62 and 0.99"


def test_six_seeds_are_exactly_what_can_exclude_somebody():
    clear = np.arange(11.0)[None] + 0.001 * np.random.default_rng(0).normal(size=(6, 11))
    assert seeds_to_exclude() == 6
    assert excluded(clear).tolist() == [True] * 10 + [False]
    few = list(confidence_set(pd.DataFrame(clear[:5])).values())
    assert {(s.p_value, s.note) for s in few} == {(None, "5 common seeds; it takes 6")}


def test_p_values_by_hand():
    """Two entries, six differences that sum to 17 of 19: of 32 patterns (up to the sign of all) two reach that."""
    table = pd.DataFrame({"a": [0.0] * 6, "b": [1.0, 2, 3, 4, 8, -1]})
    assert confidence_set(table)["a"].p_value == pytest.approx(3 / 32), "itself; none or both of 1 and -1 flipped"
    assert confidence_set(table)["b"].p_value == 1


def test_who_has_few_seeds_is_not_judged_and_spoils_nothing():
    table = pd.DataFrame(np.random.default_rng(0).normal([5, 3, 5, 0], 0.1, (10, 4)), columns=list("abcd"))
    table.loc[3:, "d"] = np.nan
    table.loc[7:, "b"] = np.nan
    found = confidence_set(table)
    assert found["d"].p_value is None and found["d"].note == "3 common seeds; it takes 6"
    assert found["b"].excluded and not found["a"].excluded and not found["c"].excluded


def test_equals_stay_together_and_one_alone_is_not_judged():
    same = confidence_set(pd.DataFrame({"a": [50.0] * 8, "b": [50.0] * 8, "c": [40.0] * 8}))
    assert (same["a"].p_value, same["b"].p_value, same["c"].excluded) == (1, 1, True)
    assert confidence_set(pd.DataFrame({"a": [50.0] * 8}))["a"].p_value is None
    assert confidence_set(pd.DataFrame()) == {}


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.permutations(range(5)))
def test_order_and_level_do_not_matter(seed, order):
    table = pd.DataFrame(np.random.default_rng(seed).normal(50, 2, (7, 5)).round(1), columns=list("abcde"))
    found = confidence_set(table)
    other = confidence_set(table.iloc[::-1, list(order)] + 7)
    assert {name: s.p_value for name, s in found.items()} == {name: s.p_value for name, s in other.items()}


def test_many_seeds_take_no_longer():
    values = np.random.default_rng(0).normal([0, 0, 0, 0, 2], size=(40, 5))
    assert excluded(values).tolist() == [True] * 4 + [False]
