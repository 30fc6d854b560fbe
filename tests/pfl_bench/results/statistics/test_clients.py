import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfl_bench.results.statistics.clients import client_error, for_whom, jain_index, paired_gains, sampling_errors


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


def test_the_error_of_clients_covers_what_other_clients_would_have_given():
    """One seed, fifty clients of unequal size with effects of their own; the truth is 2 points."""
    rng, hits = np.random.default_rng(0), []
    for _ in range(600):
        samples = rng.integers(20, 200, size=(1, 50))
        gains = rng.normal((0.02 + rng.normal(0, 0.05, samples.shape)) * samples, 0.3 * np.sqrt(samples))
        difference = 100 * gains.sum() / samples.sum()
        hits.append(abs(difference - 2) <= 1.96 * client_error(gains, samples))
    assert 0.92 <= np.mean(hits) <= 0.97


def test_the_error_of_clients_is_that_of_one_seed():
    gains, samples = np.array([[5.0, -3, 2]]), np.array([[20.0, 30, 10]])
    again = client_error(np.repeat(gains, 4, axis=0), np.repeat(samples, 4, axis=0))
    assert again == pytest.approx(client_error(gains, samples)), "the same test samples four times are no more of them"
    assert np.isnan(client_error(gains[:, :1], samples[:, :1])) and np.isnan(client_error(gains[:0], samples[:0]))


def test_the_error_of_test_samples_is_the_binomial_one_within_clients():
    errors = sampling_errors(frame(a=[5, 10, 0], b=[5, 5, 5]).assign(run_id=lambda rows: rows["entry"]))
    assert errors.to_dict() == pytest.approx({"a": 100 * np.sqrt(2.5) / 30, "b": 100 * np.sqrt(7.5) / 30})
