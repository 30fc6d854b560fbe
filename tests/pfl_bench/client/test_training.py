import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pfl_bench.client.training import Batch, Sgd, cross_entropy, plan_batches, sgd_step_

from pfl_bench.client.params import Params, zeros_like


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


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_sgd_is_torch_optim_sgd(momentum, clip):
    torch.manual_seed(0)
    ours = Params({"w": torch.randn(4, 3), "b": torch.randn(3)})
    theirs = [tensor.clone().requires_grad_() for tensor in ours.values()]
    optimiser = torch.optim.SGD(theirs, lr=0.1, momentum=momentum, weight_decay=0.01)
    buffers, spec = zeros_like(ours), Sgd(0.1, momentum, 0.01, clip)
    for _ in range(5):
        gradients = {name: torch.randn_like(tensor) for name, tensor in ours.items()}
        for tensor, gradient in zip(theirs, gradients.values(), strict=True):
            tensor.grad = gradient.clone()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(theirs, clip)
        optimiser.step()
        sgd_step_(ours, gradients, buffers, spec)
    for mine, other in zip(ours.values(), theirs, strict=True):
        torch.testing.assert_close(mine, other.detach())


def test_unclipped_parameters_neither_count_nor_change():
    params = {"w": torch.zeros(2), "head": torch.zeros(1)}
    gradients = {"w": torch.tensor([3.0, 4.0]), "head": torch.tensor([9.0])}
    sgd_step_(params, gradients, {}, Sgd(1.0, clip_norm=1.0, unclipped=frozenset({"head"})))
    torch.testing.assert_close(params["w"], torch.tensor([-0.6, -0.8]))
    torch.testing.assert_close(params["head"], torch.tensor([-9.0]))


def test_a_gradient_laid_out_otherwise_in_memory_is_understood():
    params = {"w": torch.zeros(2, 3)}
    sgd_step_(params, {"w": torch.arange(6.0).view(3, 2).t()}, {}, Sgd(1.0))
    torch.testing.assert_close(params["w"], -torch.arange(6.0).view(3, 2).t())
    with pytest.raises(ValueError, match="contiguous"):
        sgd_step_({"w": torch.zeros(3, 2).t()}, {"w": torch.zeros(2, 3)}, {}, Sgd(1.0))


def test_padding_does_not_count_in_the_loss():
    torch.manual_seed(0)
    logits = torch.randn(5, 3)
    batch = Batch(torch.zeros(5), torch.tensor([0, 1, 2, 0, 1]), torch.tensor([1.0, 1, 1, 0, 0]))
    padded = cross_entropy(lambda params, x: logits, {}, batch)
    torch.testing.assert_close(padded, torch.nn.functional.cross_entropy(logits[:3], batch.y[:3]))
