import math
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pfl_bench.results.statistics.paired import (
    BOOTSTRAP_SEEDS,
    accuracy_table,
    best_entry,
    bootstrap_over_seeds,
    compare_with,
    expanded_tail,
    holm,
    reference_of,
    student_interval,
)
from pfl_bench.results.statistics.signed_rank import seeds_needed, signed_rank_p

accuracies = st.floats(0, 100).map(lambda value: round(value, 3))


def frame(**entries) -> pd.DataFrame:
    """Accuracies per entry over seeds 0, 1, ... of one scenario."""
    return pd.DataFrame(
        [
            {"scenario": "s", "entry": entry, "seed": seed, "accuracy": value, "partition_sha256": f"p{seed}"}
            for entry, values in entries.items()
            for seed, value in enumerate(values)
        ]
    )


def comparisons(runs: pd.DataFrame, reference: str) -> dict:
    return {c.entry: c for c in compare_with(accuracy_table(runs, "s"), reference)}


def test_pairs_need_the_same_split():
    runs = frame(a=[1.0, 2.0, 3.0], b=[2.0, 3.0, 4.0], c=[0.0, 0.0, 0.0])
    runs.loc[(runs["entry"] == "b") & (runs["seed"] == 1), "partition_sha256"] = "another"
    table = accuracy_table(runs, "s")
    assert table["b"].isna().tolist() == [False, True, False] and table["a"].notna().all()
    assert comparisons(runs, "a")["b"].seeds == 2


def test_a_clear_difference_is_found_with_enough_seeds_only():
    values = np.linspace(50, 60, 9)
    steady = {"good": values + 5 + 0.01 * np.arange(9), "bad": values}
    found = comparisons(frame(**steady), "good")["bad"]
    assert found.verdict == "worse" and found.p_value == pytest.approx(2 / 2**9)
    few = comparisons(frame(**{name: v[:3] for name, v in steady.items()}), "good")["bad"]
    assert few.verdict == "untested" and few.p_value is None and few.note == "3 common seeds; a test of 1 needs 6"


@pytest.mark.parametrize(("comparisons", "needed"), [(1, 6), (2, 7), (10, 9)])
def test_seeds_needed_is_exactly_what_lets_the_test_reject(comparisons, needed):
    """With every difference of one sign and the smallest p-value of all, Holm's first step is m times it."""
    assert seeds_needed(comparisons) == needed
    assert comparisons * signed_rank_p(np.arange(1.0, needed + 1)) <= 0.05 < comparisons * 2 / 2 ** (needed - 1)


def test_what_cannot_be_tested_is_no_part_of_the_family():
    """Of three others two have three seeds: what is left needs six seeds, not eight."""
    values = {"ref": [50.0 + s for s in range(6)], "good": [60.0 + 1.1 * s for s in range(6)]}
    found = comparisons(frame(**values, few=[1.0, 2, 3], fewer=[1.0]), "ref")
    assert found["good"].verdict == "better" and found["good"].p_value == pytest.approx(2 / 2**6)
    assert found["few"].note == "3 common seeds; a test of 1 needs 6"


@pytest.mark.parametrize("count", [3, 8, 9])
def test_the_signed_rank_test_is_exact_with_ties_and_zeros(count):
    """As scipy's, which tries all signs."""
    rng = np.random.default_rng(count)
    for _ in range(10):
        differences = rng.integers(-3, 4, size=count) / 10 + 0.1 * (rng.random() < 0.1)
        moved = differences[differences != 0]
        every = stats.PermutationMethod(n_resamples=np.inf)
        expected = stats.wilcoxon(np.round(moved, 9), method=every).pvalue if len(moved) else 1.0
        assert signed_rank_p(differences) == pytest.approx(expected)
    assert signed_rank_p(rng.normal(size=60) + 5) == pytest.approx(2 / 2**60), "exact, however many"


def test_rounding_makes_no_difference():
    assert signed_rank_p(np.array([0.3 - 0.2, 0.1, 0.1, -0.1])) == signed_rank_p(np.array([0.1, 0.1, 0.1, -0.1]))


def test_the_signed_rank_test_rejects_as_often_as_it_may():
    """Among equals; values on a grid, so that most tables have ties and zeros."""
    rng = np.random.default_rng(0)
    rejected = np.mean([signed_rank_p(rng.integers(-4, 5, size=10)) <= 0.05 for _ in range(3000)])
    assert 0.03 <= rejected <= 0.056


def test_the_reference_is_named_whatever_the_accuracies():
    assert reference_of(["ditto", "fedavg", "local"]) == "local"
    assert reference_of(["ditto", "fedavg", "fedavg_ft"]) == "fedavg_ft"
    assert (reference_of(["b", "a"]), reference_of([])) == ("a", None)


def test_against_a_reference_false_alarms_are_rare():
    """Eleven equal methods with ten seeds; against the best of them somebody was found worse in 10 % of tables."""
    rng, alarms = np.random.default_rng(0), []
    for k in range(150):
        values = rng.normal(size=(10, 11)) if k % 2 else rng.exponential(size=(10, 11))
        least = min(signed_rank_p(values[:, j] - values[:, 0]) for j in range(1, 11))
        alarms.append(10 * least <= 0.05)  # Holm's first step
    assert np.mean(alarms) <= 0.086


def test_equal_entries_are_not_significantly_different():
    same = comparisons(frame(a=[50.0] * 8, b=[50.0] * 8), "a")["b"]
    assert (same.p_value, same.difference, same.verdict) == (1.0, 0.0, "not significantly different")


@settings(deadline=None, max_examples=4)
@given(st.lists(st.tuples(accuracies, accuracies), min_size=7, max_size=9), st.randoms())
def test_order_and_labels_do_not_matter(pairs, random):
    a, b = (list(column) for column in zip(*pairs, strict=True))
    found = comparisons(frame(a=a, b=b), "a")["b"]
    shuffled = frame(a=a, b=b).sample(frac=1, random_state=random.randrange(2**32))
    renamed = frame(y=b, x=a).assign(seed=lambda f: 100 - f["seed"])
    for other, name in ((comparisons(shuffled, "a")["b"], "b"), (comparisons(renamed, "x")["y"], "y")):
        assert other.entry == name
        assert other.p_value == pytest.approx(found.p_value)
        assert other.difference == pytest.approx(found.difference)
        assert other.bootstrap == pytest.approx(found.bootstrap)
    swapped = comparisons(frame(a=a, b=b), "b")["a"]
    assert swapped.difference == pytest.approx(-found.difference) and swapped.p_value == pytest.approx(found.p_value)


@settings(deadline=None, max_examples=8)
@given(st.lists(accuracies, min_size=BOOTSTRAP_SEEDS, max_size=12), st.floats(-20, 20))
def test_intervals_hold_the_mean_and_move_with_the_values(values, shift):
    array = np.asarray(values)
    for interval in (student_interval, bootstrap_over_seeds):
        low, high = interval(array)
        assert low - 1e-6 <= array.mean() <= high + 1e-6
        assert interval(array + shift) == pytest.approx((low + shift, high + shift), abs=1e-6)


def test_too_few_seeds_have_no_bootstrap_interval():
    assert all(math.isnan(x) for x in bootstrap_over_seeds(np.arange(BOOTSTRAP_SEEDS - 1.0)))


def test_bootstrap_is_scipys_but_for_the_tail():
    values = np.random.default_rng(1).normal(3, 2, 8)
    level = 1 - 2 * expanded_tail(8)
    theirs = stats.bootstrap(
        (values,), np.mean, confidence_level=level, method="percentile", n_resamples=40_000, rng=0
    ).confidence_interval
    assert bootstrap_over_seeds(values, resamples=40_000) == pytest.approx(tuple(theirs), abs=0.12)


@pytest.mark.parametrize(("seeds", "least"), [(5, 0.90), (10, 0.925), (20, 0.93)])
def test_coverage_over_seeds(seeds, least):
    rng = np.random.default_rng(seeds)
    intervals = [bootstrap_over_seeds(rng.normal(1, 2, seeds), resamples=2000) for _ in range(1000)]
    covered = np.mean([low <= 1 <= high for low, high in intervals])
    assert least <= covered <= 0.98


@pytest.mark.parametrize("spread", [0.0, 0.01, 0.03])
def test_an_interval_over_seeds_counts_the_noise_of_clients_once(spread):
    """Ten seeds with an effect of their own each, thirty clients of unequal size; the truth is 2 points. Resampling
    the clients too made the interval 1.5 to 1.7 times as wide as it had to be, and it covered 99 to 100 %."""
    rng, hits, widths, means = np.random.default_rng(0), [], [], []
    for _ in range(400):
        samples = rng.integers(20, 200, size=(10, 30))
        chance = 0.02 + rng.normal(0, spread, size=(10, 1))
        gains = rng.normal(chance * samples, 0.3 * np.sqrt(samples))
        differences = 100 * gains.sum(axis=1) / samples.sum(axis=1)
        low, high = bootstrap_over_seeds(differences, resamples=1000)
        hits.append(low <= 2 <= high)
        widths.append(high - low)
        means.append(differences.mean())
    assert 0.92 <= np.mean(hits) <= 0.975
    assert np.mean(widths) / np.std(means) == pytest.approx(2 * stats.t.ppf(0.975, 9), rel=0.1)


def test_holm_on_a_textbook_case():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_holm_is_that_of_statsmodels(p_values):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    with patch("gc.collect"):  # theirs does, at every call
        theirs = multitest.multipletests(p_values, method="holm")[1]
    assert holm(p_values) == theirs.tolist()


def test_best_entry():
    assert best_entry(accuracy_table(frame(b=[60.0, 50.0], a=[50.0, 60.0]), "s")) == "a", "ties go to the first name"
    assert best_entry(pd.DataFrame()) is None


def test_a_verdict_is_on_the_side_of_its_test():
    """Ahead at 11 of 12 seeds and far behind at one: the mean is below the reference, and the test says above."""
    gains = [*(k / 10 for k in range(1, 12)), -50.0]
    (found,) = compare_with(accuracy_table(frame(a=[60 + g for g in gains], b=[60.0] * 12), "s"), "b")
    assert found.difference < 0 and found.verdict == "better"


def test_splits_that_were_not_recorded_push_nobody_out():
    runs = frame(a=[90.0], b=[80.0], c=[70.0], d=[60.0], e=[50.0])
    runs.loc[runs["entry"].isin(["c", "d", "e"]), "partition_sha256"] = None
    assert set(accuracy_table(runs, "s")) == set("abcde")
    runs.loc[runs["entry"] == "b", "partition_sha256"] = "other"
    runs.loc[runs["entry"] == "c", "partition_sha256"] = "p0"
    assert set(accuracy_table(runs, "s")) == set("acde")
    assert set(accuracy_table(runs.assign(partition_sha256=None), "s")) == set("abcde")
