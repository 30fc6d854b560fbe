"""Scenarios as replicates: what is tested, what is not, and what it would take."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pfl_bench.results.statistics.paired import holm
from pfl_bench.results.statistics.scenarios import (
    SeedTables,
    differences,
    improvability,
    seed_tables,
    sign_flip_p,
    versus,
    win_rates,
)
from pfl_bench.results.statistics.signed_rank import seeds_needed


def runs_of(table: np.ndarray, seeds: int = 2, noise: float = 0.0) -> pd.DataFrame:
    """Runs of entries (columns; the first is the control) on scenarios (rows)."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {"scenario": f"s{i:02}", "entry": "control" if j == 0 else f"e{j}", "seed": seed,
             "accuracy": table[i, j] + noise * rng.normal(), "partition_sha256": f"{i}-{seed}"}
            for i in range(table.shape[0]) for j in range(table.shape[1]) for seed in range(seeds)
        ]
    )  # fmt: skip


def tables_of(table: np.ndarray) -> SeedTables:
    return seed_tables(runs_of(table))


def test_an_entry_that_is_better_everywhere_is_found_and_equal_ones_are_not():
    rng = np.random.default_rng(1)
    table = rng.normal(70, 5, (12, 1)) + rng.normal(0, 0.5, (12, 5))
    table[:, 1] = table[:, 0] + rng.uniform(1, 3, 12)
    table[:, 2] = table[:, 0] - rng.uniform(1, 3, 12)
    found = {each.entry: each for each in versus(differences(tables_of(table), "control"), "control")}
    assert (found["e1"].verdict, found["e1"].wins, found["e1"].losses) == ("better", 12, 0)
    assert (found["e2"].verdict, found["e2"].wins, found["e2"].losses) == ("worse", 0, 12)
    assert found["e3"].verdict == found["e4"].verdict == "not told apart"
    assert found["e1"].signed_rank == pytest.approx(2 / 2**12) and found["e1"].sign_flip == pytest.approx(2 / 2**12)
    raw = [found[f"e{k}"].signed_rank for k in (1, 2, 3, 4)]
    assert [found[f"e{k}"].adjusted for k in (1, 2, 3, 4)] == pytest.approx(holm(raw))
    low, high = found["e1"].interval
    assert low < found["e1"].difference < high and "control" not in found


def test_nothing_is_claimed_where_no_test_can_reach_its_level():
    table = np.full((7, 13), 50.0) + np.arange(13)
    found = versus(differences(tables_of(table), "control"), "control")
    assert seeds_needed(12) == 9
    for each in found:
        assert each.verdict == "untested" and each.adjusted is None and each.sign_flip is None
        assert each.note == "7 scenarios with a difference; a test of 12 entries takes 9" and each.difference > 0
    one = versus(differences(tables_of(table[:1, :2]), "control"), "control")[0]
    assert one.note == "1 scenario with a difference; a test of 1 entry takes 6" and math.isnan(one.interval[0])


def test_an_entry_with_too_few_scenarios_is_left_out_of_the_family():
    table = np.full((8, 4), 50.0) + np.arange(4)
    runs = runs_of(table)
    runs = runs[~((runs["entry"] == "e3") & (runs["scenario"] > "s03"))]
    found = {each.entry: each for each in versus(differences(seed_tables(runs), "control"), "control")}
    assert (
        found["e3"].note == "4 scenarios with a difference; a test of 2 entries takes 7" and found["e3"].scenarios == 4
    )
    assert found["e1"].adjusted == pytest.approx(2 * 2 / 2**8) and found["e1"].verdict == "better"


def test_differences_are_of_equal_seeds_and_splits():
    runs = runs_of(np.array([[60.0, 63.0], [50.0, 49.0]]))
    late = runs[(runs["scenario"] == "s00") & (runs["entry"] == "control") & (runs["seed"] == 1)].index
    runs.loc[late, "accuracy"] = 0.0
    runs.loc[late, "partition_sha256"] = "another"
    found = differences(seed_tables(runs), "control")
    assert found["e1"].tolist() == pytest.approx([3.0, -1.0])
    without = runs[(runs["scenario"] != "s01") | (runs["entry"] != "control")]
    assert list(differences(seed_tables(without), "control").index) == ["s00"]


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(-20, 20).map(lambda v: round(v, 2)), min_size=2, max_size=9))
def test_sign_flips_count_every_assignment(values):
    own = np.asarray(values)
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(own))).reshape(len(own), -1)
    means = (signs * own[:, None]).mean(axis=0)
    low, high = ((means <= own.mean() + 1e-9).mean(), (means >= own.mean() - 1e-9).mean())
    assert sign_flip_p(own) == pytest.approx(min(1.0, 2 * min(low, high)), abs=1e-9)


def test_sign_flips_of_many_scenarios_are_drawn_and_always_the_same():
    own = np.random.default_rng(2).normal(0.3, 1, 30)
    assert sign_flip_p(own) == sign_flip_p(own)
    assert sign_flip_p(own) == pytest.approx(stats.ttest_1samp(own, 0).pvalue, abs=0.03)
    assert sign_flip_p(np.zeros(5)) == 1.0


def test_scenarios_of_one_source_are_no_repetitions():
    table = np.full((12, 2), 50.0) + np.arange(2) + np.random.default_rng(1).uniform(0, 0.5, (12, 2)) * [[0, 1]]
    gains = differences(tables_of(table), "control")
    (alone,) = versus(gains, "control")
    (shared,) = versus(gains, "control", {name: name[-1] for name in gains.index})
    assert alone.by_source == alone.sign_flip == pytest.approx(2 / 2**12)
    assert shared.by_source == pytest.approx(2 / 2 ** len({name[-1] for name in gains.index}))
    assert shared.adjusted == alone.adjusted


def test_zeros_are_no_scenarios_to_be_tested_with():
    table = np.full((12, 2), 50.0)
    table[:5, 1] += np.arange(1, 6)
    (each,) = versus(differences(tables_of(table), "control"), "control")
    assert each.verdict == "untested" and each.note.startswith("5 scenarios with a difference")


def test_who_is_close_is_shown_and_not_taken_for_granted():
    rng = np.random.default_rng(4)
    level = rng.normal(70, 5, (12, 1))
    table = np.hstack([level, level + rng.normal(0, 0.2, (12, 1)), level + rng.normal(0, 4, (12, 1))])
    found = {each.entry: each for each in versus(differences(tables_of(table), "control"), "control")}
    assert found["e1"].verdict == found["e2"].verdict == "not told apart"
    assert found["e1"].close < 0.05 < found["e2"].close


def test_win_rates_count_ties_half_and_gaps_not():
    means = pd.DataFrame({"a": [3.0, 3.0], "b": [2.0, 3.0], "c": [1.0, np.nan]})
    rates = win_rates(means)
    assert rates["a"] == pytest.approx(100 * 2.5 / 3) and rates["b"] == pytest.approx(100 * 1.5 / 3)
    assert rates["c"] == 0.0


def test_improvability_is_the_share_of_the_way_to_the_best_that_is_missing():
    means = pd.DataFrame({"local": [60.0, 76.0, 50.0], "x": [80.0, 79.5, 70.0], "y": [70.0, 80.2, 40.0]})
    found = improvability(means)
    assert found.loc[0].tolist() == [100.0, 0.0, 50.0]
    assert found.loc[1].isna().all(), "Local is within five points of the best: a share of that says nothing"
    assert found.loc[2].tolist() == [100.0, 0.0, 150.0]
    assert improvability(means.drop(columns="local")).isna().all(axis=None)
