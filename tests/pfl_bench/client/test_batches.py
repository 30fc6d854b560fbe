"""Which samples each step uses."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pfl_bench.client.batches import BatchPlan, plan_all, plan_batches


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 7), st.integers(1, 3), st.integers(1, 16), st.sampled_from(["fresh", "epoch"])
)
def test_batches_are_real_distinct_and_never_dropped(members, steps, draws, batch_size, mode):
    own = np.arange(100, 100 + members)
    indices, sizes = plan_batches(own, steps, draws, batch_size, mode, np.random.default_rng(0))
    assert indices.shape == (steps, draws, batch_size) and sizes.shape == (steps, draws)
    assert set(indices.ravel()) <= set(own), "also the padding points at real samples"
    assert sizes.min() >= 1 and sizes.max() <= min(batch_size, members)
    for step in range(steps):
        for draw in range(draws):
            real = indices[step, draw, : sizes[step, draw]]
            assert len(set(real)) == len(real)
    if mode == "fresh":
        assert (sizes == min(batch_size, members)).all()


@given(st.integers(1, 40), st.integers(1, 16), st.integers(1, 3))
def test_an_epoch_visits_every_sample_once(members, batch_size, passes):
    size = min(batch_size, members)
    steps = passes * -(-members // size)
    indices, sizes = plan_batches(np.arange(members), steps, 1, batch_size, "epoch", np.random.default_rng(1))
    seen = np.concatenate([indices[s, 0, : sizes[s, 0]] for s in range(steps)])
    assert (np.bincount(seen, minlength=members) == passes).all()


def test_a_prefix_of_steps_has_the_same_batches():
    """Ditto and Local share batches although their step counts differ."""
    few, _ = plan_batches(np.arange(30), 3, 1, 8, "fresh", np.random.default_rng(5))
    many, _ = plan_batches(np.arange(30), 9, 1, 8, "fresh", np.random.default_rng(5))
    assert np.array_equal(few, many[:3])


@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.integers(1, 25))
def test_chunks_of_all_samples_have_each_sample_once_and_in_order(lengths, chunk):
    members = tuple(np.arange(100 * client, 100 * client + length) for client, length in enumerate(lengths))
    indices, sizes = plan_all(members, chunk)
    assert indices.shape[:2] == sizes.shape and indices.shape[2] <= chunk
    for client, own in enumerate(members):
        seen = np.concatenate([indices[client, c, : sizes[client, c]] for c in range(indices.shape[1])])
        assert np.array_equal(seen, own)
        assert set(indices[client].ravel()) <= set(own), "padding is the client's own"


def test_a_client_takes_all_steps_unless_the_plan_says_how_many():
    indices, sizes = torch.zeros(2, 5, 1, 3, dtype=torch.int64), np.full((2, 5, 1), 3)
    plan, uneven = BatchPlan(indices, sizes), BatchPlan(indices, sizes, taken=np.array([5, 2]))
    assert (plan.clients, plan.steps, plan.steps_of(1)) == (2, 5, 5)
    assert (uneven.steps, uneven.steps_of(0), uneven.steps_of(1)) == (5, 5, 2)
