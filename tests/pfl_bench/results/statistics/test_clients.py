import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfl_bench.results.statistics.clients import for_whom, jain_index, paired_gains


def frame(samples=10, **entries) -> pd.DataFrame:
    """Correct predictions of each client at seed 0, out of ten."""
    return pd.DataFrame(
        [
            {"scenario": "s", "entry": entry, "seed": 0, "client": client, "test_correct": n, "test_samples": samples}
            for entry, correct in entries.items()
            for client, n in enumerate(correct)
        ]
    )


def test_who_is_worse_off():
    table = for_whom(frame(local=[5, 5, 5, 5], fedavg=[9, 9, 0, 0], new=[6, 4, 5, 1])).set_index("entry")
    assert table.loc["new", "worse_than_local"] == 50 and table.loc["new", "worse_than_fedavg"] == 50
    assert table.loc["fedavg", "worse_than_local"] == 50 and np.isnan(table.loc["local", "worse_than_local"])
    assert (table.loc["new", "q0"], table.loc["new", "q50"], table.loc["new", "q100"]) == (10, 45, 60)
    assert table.loc["fedavg", "jain_index"] == pytest.approx(0.5)


def test_without_a_baseline_nobody_is_compared():
    assert for_whom(frame(new=[1, 2])).loc[0, ["worse_than_local", "worse_than_fedavg"]].isna().all()


def test_impossible_rows_are_dropped():
    rows = frame(a=[5, 12, 3])
    rows.loc[2, "test_samples"] = 0
    table = for_whom(rows)
    assert (table.loc[0, "clients"], table.loc[0, "q100"]) == (1, 50)
    assert for_whom(rows.iloc[:0]).empty


@given(st.lists(st.integers(0, 10), min_size=1, max_size=30))
def test_jain_index_lies_between_one_client_and_all(values):
    array = np.asarray(values, dtype=float)
    assert 1 / len(array) - 1e-9 <= jain_index(array) <= 1 + 1e-9
    assert jain_index(array[::-1]) == pytest.approx(jain_index(array))


def test_gains_are_paired_by_seed_and_client():
    rows = pd.concat([frame(a=[5, 6], b=[7, 3]), frame(a=[1, 1]).assign(seed=1)])
    gains, samples = paired_gains(rows, "s", "a")["b"]
    assert gains.tolist() == [[2, -3]] and samples.tolist() == [[10, 10]]
    assert paired_gains(rows, "s", "missing") == {} and paired_gains(rows, "other", "a") == {}
    unequal = pd.concat([frame(a=[5, 6]), frame(samples=20, b=[7, 3])])
    assert paired_gains(unequal, "s", "a")["b"][0].shape == (0, 2)
