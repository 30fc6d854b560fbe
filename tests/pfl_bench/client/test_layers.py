"""Dropout from seeds, and batch normalisation without the padding."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pfl_bench.client.batches import Batch
from pfl_bench.client.build import make_model, register_model
from pfl_bench.client.layers import Layers, masked_batch_norm, uniform


def test_numbers_are_uniform_and_depend_on_seed_place_and_call():
    seeds = torch.arange(200)
    numbers = uniform(seeds, 1, (50,))
    assert numbers.shape == (200, 50) and numbers.min() >= 0 and numbers.max() < 1
    assert numbers.mean().item() == pytest.approx(0.5, abs=0.01)
    assert numbers.std().item() == pytest.approx(12**-0.5, abs=0.01)
    assert abs(torch.corrcoef(numbers[:2])[0, 1]) < 0.5
    assert not torch.equal(numbers, uniform(seeds, 2, (50,)))
    assert torch.equal(numbers[7:9], uniform(seeds[7:9], 1, (50,))), "whoever else is there"


def test_dropout_keeps_its_share_and_the_mean():
    x = torch.ones(500, 40)
    with Layers(torch.arange(500), None):
        dropped, again, off = F.dropout(x, 0.25), F.dropout(x, 0.25), F.dropout(x, 0.25, training=False)
        whole = F.dropout2d(torch.ones(500, 6, 3, 3), 0.5)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    assert not torch.equal(dropped, again), "another call, other numbers"
    assert torch.equal(off, x)
    assert torch.equal(whole.amax((2, 3)), whole.amin((2, 3))), "whole channels"


def test_dropout_over_anything_but_samples_is_refused():
    with Layers(torch.arange(4), None), pytest.raises(ValueError, match="dropout got 3 rows; .* which has 4 seeds"):
        F.dropout(torch.ones(3, 2))
    with Layers(None, None), pytest.raises(ValueError, match="which has no seeds"):
        F.dropout(torch.ones(3, 2))


@pytest.mark.parametrize("shape", [(7, 3), (7, 3, 4, 5)])
def test_masked_batch_norm_is_batch_norm_of_the_real_samples(shape):
    torch.manual_seed(0)
    x, weight, bias = torch.randn(shape), torch.randn(3), torch.randn(3)
    counts = torch.tensor([1.0, 1, 1, 1, 0, 0, 0])
    ours, theirs = (torch.zeros(3), torch.ones(3)), (torch.zeros(3), torch.ones(3))
    found = masked_batch_norm(x, *ours, weight, bias, 0.1, 1e-5, counts)
    expected = F.batch_norm(x[:4], *theirs, weight, bias, training=True)
    torch.testing.assert_close(found[:4], expected, rtol=1e-4, atol=1e-5)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)


def test_a_single_value_per_channel_has_variance_zero():
    mean, var = torch.zeros(2), torch.ones(2)
    found = masked_batch_norm(torch.tensor([[3.0, 4.0]]), mean, var, None, None, 0.1, 1e-5, torch.ones(1))
    assert found.tolist() == [[0, 0]]
    torch.testing.assert_close(var, torch.full((2,), 0.9))


def test_attention_without_dropout_is_pytorch_s():
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 4, 5, 8) for _ in range(3))
    for options in ({}, {"is_causal": True}, {"attn_mask": torch.rand(5, 5) > 0.2}, {"attn_mask": torch.randn(5, 5)}):
        with Layers(torch.arange(2), None):
            found = F.scaled_dot_product_attention(q, k, v, dropout_p=1e-9, **options)
        torch.testing.assert_close(found, F.scaled_dot_product_attention(q, k, v, **options), rtol=1e-4, atol=1e-5)


def dropping(input_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.BatchNorm1d(12), nn.Dropout(0.5), nn.Linear(12, classes))


def test_in_use_a_sample_is_served_alike_whoever_else_is_scored():
    register_model("dropping")(dropping)
    model = make_model("dropping", (1, 4, 4), 3)
    params, x = model.init(0), torch.randn(6, 1, 4, 4)
    alone, together = model.evaluating()(params, x[:1]), model.evaluating()(params, x)
    torch.testing.assert_close(alone, together[:1])
    assert torch.equal(together, model.evaluating()(params, x)), "no dropout"


def test_training_moves_copies_of_the_buffers_once_and_leaves_the_parameters_alone():
    register_model("dropping")(dropping)
    model = make_model("dropping", (1, 4, 4), 3)
    params, x = model.init(0), torch.randn(6, 1, 4, 4)
    before = params.map(torch.clone)
    net = model.training(Batch(x, torch.zeros(6), torch.ones(6), torch.arange(6)), params, padded=False)
    net(params, x)
    first = {name: tensor.clone() for name, tensor in net.buffers.items()}
    net(params, 2 * x)
    assert all(torch.equal(params[name], before[name]) for name in params)
    assert set(first) == model.buffers
    for name in first:
        assert torch.equal(net.buffers[name], first[name]) and not torch.equal(first[name], before[name])
