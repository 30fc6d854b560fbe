import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pfl_bench.results.statistics.pairs import duels


def table(**columns) -> pd.DataFrame:
    return pd.DataFrame(columns, dtype=float)


def test_outcomes():
    base = np.arange(8.0)
    found = duels(table(a=base + 10, b=base, c=base + 10 + (-1.0) ** base * (base + 1)))
    assert found["a", "b"].outcome == "win" and found["a", "c"].outcome == "tie" and found["b", "c"].outcome == "loss"
    assert found["a", "b"].difference == 10 and found["a", "b"].p_value == pytest.approx(2 / 2**8)
    assert duels(table(a=base[:5] + 10, b=base[:5]))["a", "b"].outcome == "untested", "five seeds could never reject"


def test_only_common_seeds_count_and_who_has_none_is_no_pair():
    found = duels(table(a=[1, 2, np.nan], b=[0, np.nan, 3], c=[np.nan, np.nan, np.nan]))
    assert list(found) == [("a", "b")] and (found["a", "b"].seeds, found["a", "b"].difference) == (1, 1.0)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=6, max_size=12))
def test_turned_round_it_is_the_opposite(pairs):
    first, second = np.array(pairs, dtype=float).T
    one, other = duels(table(a=first, b=second))["a", "b"], duels(table(b=second, a=first))["b", "a"]
    assert one.difference == pytest.approx(-other.difference) and one.p_value == pytest.approx(other.p_value)
    opposite = {"win": "loss", "loss": "win", "tie": "tie"}
    assert other.outcome == opposite[one.outcome]
    gaps = first - second
    if np.all(gaps) and len(np.unique(np.abs(gaps))) == len(gaps):
        assert one.p_value == pytest.approx(stats.wilcoxon(gaps, method="exact").pvalue)


def test_who_wins_is_who_the_ranks_are_on_the_side_of():
    gains = [*(k / 10 for k in range(1, 12)), -50.0]
    (duel,) = duels(pd.DataFrame({"a": [60 + g for g in gains], "b": [60.0] * 12})).values()
    assert duel.difference < 0 and duel.outcome == "win"
