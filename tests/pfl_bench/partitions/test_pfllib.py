"""PFLlib's two splits, as share tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfl_bench.data.partition import make_partition
from pfl_bench.errors import RequestError
from pfl_bench.partitions.pfllib_dir import PfllibDir
from pfl_bench.partitions.pfllib_dir import shares as dir_rule
from pfl_bench.partitions.pfllib_pat import PfllibPat
from pfl_bench.partitions.pfllib_pat import shares as pat_rule
from tests.pfl_bench.data.test_partition import labelled

COUNTS = np.asarray([500, 400, 600, 550, 450, 500, 520, 480, 500, 500])


@settings(max_examples=40, deadline=None)
@given(st.floats(0.05, 10), st.integers(2, 25), st.integers(0, 2**31))
def test_a_client_that_has_its_average_gets_no_further_class(alpha, clients, seed):
    try:
        table = dir_rule.shares(PfllibDir(alpha=alpha), COUNTS, clients, np.random.default_rng(seed))
    except RequestError as error:
        assert "use a larger alpha or fewer clients" in str(error)
        return
    assert table.sum(axis=0) == pytest.approx(np.ones(10)) and (table >= 0).all()
    before = np.cumsum(table * COUNTS, axis=1) - table * COUNTS
    full = before >= COUNTS.sum() / clients + 10  # one sample per class may be lost to rounding
    assert (table[full] == 0).all()
    assert (table @ COUNTS).min() > 0


def test_sizes_are_more_alike_than_those_of_the_plain_dirichlet_split():
    data = labelled(400, 100, 10)
    spread = {
        rule: np.mean([np.std([*map(len, make_partition(rule, {"alpha": 0.5}, data, 10, seed).train)])
                       for seed in range(10)])
        for rule in ("pfllib_dir", "dirichlet")
    }  # fmt: skip
    assert spread["pfllib_dir"] < 0.9 * spread["dirichlet"]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 10), st.integers(1, 30), st.booleans(), st.integers(0, 2**31))
def test_pathological_clients_have_the_next_classes(k, clients, balanced, seed):
    config = PfllibPat(classes=k, balanced=balanced)
    try:
        table = pat_rule.shares(config, COUNTS, clients, np.random.default_rng(seed))
    except RequestError as error:
        assert "such as a multiple of 10" in str(error) and clients % 10
        return
    assert table.sum(axis=0) == pytest.approx(np.ones(10))
    owned = (table > 0).sum(axis=1)
    assert owned.max() <= k
    if clients * k % 10 == 0 and clients % (clients * k // 10) == 0:  # else the last ones find too few classes left
        assert (owned == k).all()
        for label in range(10):  # neighbours share a class
            owners = np.flatnonzero(table[:, label])
            assert len(owners) == clients * k // 10
    if balanced:
        assert all(
            np.ptp(column[column > 0] * count) <= len(column) for column, count in zip(table.T, COUNTS, strict=True)
        )


def test_pathological_clients_of_the_usual_scenario():
    """20 clients with 2 of 10 classes: clients 0 to 3 have classes 0 and 1, and so on, as PFLlib deals them."""
    partition = make_partition("pfllib_pat", {"classes": 2, "balanced": True}, labelled(400, 100, 10), 20, seed=0)
    data = labelled(400, 100, 10)
    assert [sorted(set(data.train_labels[own])) for own in partition.train[:5]] == [[0, 1]] * 4 + [[2, 3]]


def test_impossible_requests():
    data = labelled(40, 10, 10)
    with pytest.raises(RequestError, match="leave class 8 of 10 to nobody"):
        make_partition("pfllib_pat", {"classes": 1}, data, 15, seed=0)
    with pytest.raises(RequestError, match="classes=11 per client"):
        make_partition("pfllib_pat", {"classes": 11}, data, 15, seed=0)
    with pytest.raises(RequestError, match="always got fewer than min_samples=300"):
        make_partition("pfllib_dir", {"min_samples": 300}, data, 5, seed=0)
