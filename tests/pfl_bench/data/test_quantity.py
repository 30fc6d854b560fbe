"""Laws of sizes, alone and with label skew."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pfl_bench.data.partition import make_partition
from pfl_bench.data.quantity import Quantity, resized
from pfl_bench.errors import RequestError
from tests.pfl_bench.data.test_partition import labelled

LAWS = st.one_of(
    st.fixed_dictionaries({"law": st.just("dirichlet"), "beta": st.floats(0.01, 100)}),
    st.fixed_dictionaries({"law": st.just("lognormal"), "sigma": st.floats(0.1, 3)}),
    st.fixed_dictionaries({"law": st.just("power"), "exponent": st.floats(0.5, 5)}),
)


def law_of(values):
    return TypeAdapter(Quantity).validate_python(values)


@settings(max_examples=60, deadline=None)
@given(LAWS, st.integers(1, 40), st.integers(0, 2**31), st.integers(1, 20))
def test_everybody_has_the_least_and_nothing_is_lost(values, clients, seed, least):
    law, counts = law_of({**values, "min_samples": least}), np.asarray([1000])
    table = resized(np.full((clients, 1), 1 / clients), law, counts, np.random.default_rng(seed))
    assert table.sum() == pytest.approx(1)
    assert (table @ counts).min() >= least - 1e-6
    drawn = law.drawn(clients, np.random.default_rng(seed))
    rest = (table @ counts) - least
    assert rest / max(rest.sum(), 1e-9) == pytest.approx(drawn / drawn.sum(), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(LAWS, st.integers(0, 2**31))
def test_with_label_skew_classes_stay_as_far_dealt_and_mixtures_stay_where_they_were(values, seed):
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(8), size=5).T * (rng.random((8, 5)) < 0.7)
    counts = np.asarray([100, 200, 300, 200, 100])
    table = resized(shares, law_of(values), counts, np.random.default_rng(seed))
    assert table.sum(axis=0) == pytest.approx(shares.sum(axis=0))
    assert ((table > 0) <= (shares > 0)).all(), "nobody gets a class that he did not have"


def test_what_the_laws_are_like():
    """Dirichlet shares have variance (n - 1) / (n^2 (n beta + 1)); logarithms of the log-normal have its sigma; of a
    power law, sizes above s are as many as s^-exponent."""
    rng, n = np.random.default_rng(0), 20
    shares = np.stack([law_of({"law": "dirichlet", "beta": 0.5}).drawn(n, rng) for _ in range(500)])
    assert shares.var() == pytest.approx((n - 1) / (n**2 * (n * 0.5 + 1)), rel=0.1)
    assert np.log(law_of({"law": "lognormal"}).drawn(20_000, rng)).std() == pytest.approx(2, rel=0.03)
    sizes = law_of({"law": "power", "exponent": 1.5}).drawn(50_000, rng)
    assert sizes.min() >= 1
    assert (sizes > 4).mean() == pytest.approx(4**-1.5, rel=0.1)


def test_sizes_are_skewed_and_labels_are_not():
    data = labelled(400, 100, 10)
    partition = make_partition("iid", {"quantity": {"law": "dirichlet", "beta": 0.5}}, data, 20, seed=0)
    sizes = np.asarray([*map(len, partition.train)])
    assert sizes.max() > 10 * sizes.min()
    largest = np.bincount(data.train_labels[partition.train[sizes.argmax()]], minlength=10)
    assert largest.max() < 2 * largest.min()
    test = np.asarray([*map(len, partition.test)])
    assert np.corrcoef(sizes, test)[0, 1] > 0.99, "test samples are skewed alike"


def test_other_splits_do_not_change_by_it():
    """The rule draws what it drew before the law was there."""
    data = labelled(400, 100, 10)
    plain = make_partition("pfllib_pat", {"classes": 2}, data, 20, seed=0)
    sized = make_partition("pfllib_pat", {"classes": 2, "quantity": {"law": "power"}}, data, 20, seed=0)
    for own, other in zip(plain.train, sized.train, strict=True):
        assert set(data.train_labels[own]) >= set(data.train_labels[other])


@pytest.mark.parametrize(
    ("quantity", "message"),
    [
        ({"law": "dirichlet"}, r"quantity\.beta is missing"),
        ({"law": "zipf"}, "must be 'dirichlet' or 'lognormal' or 'power'"),
        ({"law": "power", "exponent": -1}, r"quantity\.exponent=-1"),
        ({"law": "power", "min_samples": 500}, "min_samples=500 for each of 20 clients is more than the 400"),
        ("power", "quantity='power'"),
    ],
)
def test_wrong_laws(quantity, message):
    with pytest.raises(RequestError, match=message):
        make_partition("iid", {"quantity": quantity}, labelled(40, 10, 10), 20, seed=0)


def test_natural_clients_have_the_size_they_have():
    with pytest.raises(RequestError, match="its clients hold what they hold"):
        make_partition("natural", {"quantity": {"law": "power"}}, labelled(40, 10, 10, groups=5), 5, seed=0)


def test_a_client_of_one_sample_is_told_what_helps():
    law = {"law": "power", "exponent": 0.1, "min_samples": 1}
    said = "no training sample .* and 1 for training and validation together: raise quantity.min_samples=1, use fewer"
    with pytest.raises(RequestError, match=said):
        make_partition("iid", {"quantity": law}, labelled(100, 40, 4), 20, 0)
    with pytest.raises(RequestError, match="raise min_samples=1, use fewer clients or a less skewed partition"):
        make_partition("dirichlet", {"alpha": 0.1, "min_samples": 1}, labelled(100, 40, 4), 20, 0)
