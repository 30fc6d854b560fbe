import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from hypothesis import given, settings
from hypothesis import strategies as st

from pfl_bench.results.statistics.ranks import critical_difference, longest_runs, rank, ranking


def runs_of(table: np.ndarray) -> pd.DataFrame:
    """One run per scenario (row) and entry (column)."""
    return pd.DataFrame(
        [
            {"scenario": f"s{i:02}", "entry": f"e{j}", "seed": 0, "accuracy": table[i, j]}
            for i in range(table.shape[0])
            for j in range(table.shape[1])
        ]
    )


def test_demsars_critical_differences():
    """Table 5 of Demsar 2006: q is 2.343 for 3 and 2.728 for 5 classifiers; his example has 4 on 14 data sets."""
    assert critical_difference(3, 6) == pytest.approx(2.343 * np.sqrt(3 * 4 / 36), abs=1e-3)
    assert critical_difference(5, 30) == pytest.approx(2.728 * np.sqrt(5 * 6 / 180), abs=1e-3)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.01)


def test_agrees_with_scikit_posthocs():
    table = np.random.default_rng(3).normal(50, 3, size=(12, 5)) + np.arange(5)
    found = ranking(runs_of(table))
    theirs = scikit_posthocs.posthoc_nemenyi_friedman(pd.DataFrame(table, columns=[f"e{j}" for j in range(5)]))
    for a in found.mean_ranks:
        for b in found.mean_ranks:
            apart = abs(found.mean_ranks[a] - found.mean_ranks[b]) > found.critical_difference
            assert apart == (theirs.loc[a, b] < 0.05), (a, b)


def test_says_so_with_too_few_scenarios():
    found = ranking(runs_of(np.random.default_rng(0).normal(size=(4, 4))))
    assert found.p_value is None and found.critical_difference is None and found.groups == []
    assert "scenarios: 4" in found.note and set(found.mean_ranks) == {"e0", "e1", "e2", "e3"}
    two = rank(pd.DataFrame({"a": range(9), "b": range(9)}), "scenarios")
    assert two.p_value is None and "entries common to them: 2" in two.note


def test_what_is_not_ranked_is_named():
    frame = runs_of(np.random.default_rng(0).normal(size=(6, 4)))
    found = ranking(frame[~((frame["entry"] == "e3") & (frame["scenario"] != "s00"))])
    assert set(found.mean_ranks) == {"e0", "e1", "e2"} and found.left_out == ("e3: in 1 of 6",)


def test_falls_back_on_the_seeds_of_one_scenario():
    rows = [
        {"scenario": "only", "entry": entry, "seed": seed, "accuracy": 50 + 3 * k + seed % 3}
        for k, entry in enumerate("abc")
        for seed in range(6)
    ]
    found = ranking(pd.DataFrame(rows))
    assert found.blocks == "seeds of only" and found.count == 6 and found.p_value < 0.05
    assert list(found.mean_ranks) == ["c", "b", "a"]


def test_equal_everywhere_is_no_division_by_zero():
    found = rank(pd.DataFrame({e: [50.0] * 6 for e in "abc"}), "scenarios")
    assert found.p_value is None and "equal" in found.note and set(found.mean_ranks.values()) == {2.0}


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10_000), st.permutations(range(4)))
def test_order_and_labels_do_not_matter(seed, order):
    table = np.random.default_rng(seed).normal(50, 5, size=(7, 4)).round(1)
    found = ranking(runs_of(table))
    shuffled = ranking(runs_of(table).sample(frac=1, random_state=seed))
    assert shuffled.mean_ranks == pytest.approx(found.mean_ranks) and shuffled.p_value == pytest.approx(found.p_value)
    relabelled = ranking(runs_of(table[:, list(order)]))
    assert {f"e{old}": relabelled.mean_ranks[f"e{new}"] for new, old in enumerate(order)} == pytest.approx(
        found.mean_ranks
    )


def test_false_alarms_stay_below_the_level():
    """Friedman and Nemenyi on entries without any difference: 5 % of the tables may claim one."""
    rng = np.random.default_rng(0)
    tables = [rank(pd.DataFrame(rng.normal(size=(10, 4))), "scenarios") for _ in range(250)]
    alarms = [max(t.mean_ranks.values()) - min(t.mean_ranks.values()) > t.critical_difference for t in tables]
    assert np.mean(alarms) <= 0.07


@settings(max_examples=60)
@given(st.lists(st.floats(1, 10), min_size=2, max_size=8), st.floats(0.1, 4))
def test_groups_are_the_maximal_stretches_within_the_difference(ranks, difference):
    values = dict(enumerate(sorted(ranks)))
    names = [str(k) for k in values]
    alike = pd.DataFrame({a: {b: abs(values[int(a)] - values[int(b)]) <= difference for b in names} for a in names})
    groups = longest_runs(names, alike)
    together = {(a, b) for group in groups for a in group for b in group}
    for a in names:
        for b in names:
            if a != b:
                assert ((a, b) in together) == bool(alike.loc[a, b])
    assert not any(set(x) < set(y) for x in groups for y in groups)
