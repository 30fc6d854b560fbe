"""Running a function over samples: stacked or one by one, whole or in pieces, as by hand."""

import pytest
import torch

from pfl_bench.client.backends import BACKENDS, stacked_compute

from .cases import LENGTHS, MODEL, class_sums, compute_request, each_loss, label_counts, pool, slopes

NET = MODEL.evaluating()


def run(backend: str, asked, enabled: bool = False):
    with torch.set_grad_enabled(enabled):
        return BACKENDS[backend].compute(MODEL, pool(), asked)


def samples(client: int):
    return pool().gather(torch.arange(10 * client, 10 * client + LENGTHS[client]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_sums_are_those_of_all_samples(backend):
    asked = compute_request(class_sums)
    found, passes = run(backend, asked)
    assert found["sums"].shape == (3, 3, 64) and passes == 1
    for client in range(3):
        x, y = samples(client)
        z = NET.features({name: tensor[client] for name, tensor in asked.params.items()}, x) + client
        for label in range(3):
            torch.testing.assert_close(found["sums"][client, label], z[y == label].sum(0), rtol=1e-4, atol=1e-5)
            assert found["counts"][client, label] == (y == label).sum()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("chunk", [3, 7])
def test_rows_are_in_order_with_zeros_behind_the_last(backend, chunk):
    asked = compute_request(each_loss, chunk=chunk, reduce="rows")
    (losses, features), passes = run(backend, asked)
    longest = asked.plan.indices.shape[1] * chunk
    assert losses.shape == (3, longest) and features.shape == (3, longest, 64) and passes == 2
    for client, length in enumerate(LENGTHS):
        x, y = samples(client)
        own = {name: tensor[client] for name, tensor in asked.params.items()}
        expected = torch.nn.functional.cross_entropy(NET(own, x), y, reduction="none")
        torch.testing.assert_close(losses[client, :length], expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(features[client, :length], NET.features(own, x), rtol=1e-4, atol=1e-5)
        assert not losses[client, length:].any() and not features[client, length:].any()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("function", "reduce"), [(class_sums, "sum"), (each_loss, "rows")])
def test_k_models_per_client_are_k_computations(backend, function, reduce):
    found, passes = run(backend, compute_request(function, models=2, reduce=reduce))
    many = torch.utils._pytree.tree_leaves(found)
    for k in range(2):
        asked = compute_request(function, reduce=reduce)
        asked.params.update(asked.params.map(lambda p, k=k: p * (k + 1)))
        single, once = run(backend, asked)
        for ours, theirs in zip(many, torch.utils._pytree.tree_leaves(single), strict=True):
            torch.testing.assert_close(ours[:, k], theirs, rtol=1e-4, atol=1e-5)
    assert passes == 2 * once


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_function_that_asks_nothing_of_the_net_has_read_every_sample_once_all_the_same(backend):
    found, passes = run(backend, compute_request(label_counts))
    assert found.sum(1).tolist() == LENGTHS and passes == 1


@pytest.mark.parametrize("values", [1, 100, 2**23])
@pytest.mark.parametrize(("function", "reduce"), [(class_sums, "sum"), (each_loss, "rows")])
def test_a_few_clients_at_a_time_give_the_same(monkeypatch, values, function, reduce):
    expected, _ = run("loop", compute_request(function, reduce=reduce))
    monkeypatch.setattr(stacked_compute, "COMPUTE_VALUES", values)
    found, _ = run("vmap", compute_request(function, reduce=reduce))
    for ours, theirs in zip(*map(torch.utils._pytree.tree_leaves, (found, expected)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_are_refused_unless_asked_for(backend):
    with pytest.raises(RuntimeError, match=r"takes derivatives; ask for compute\(..., gradients=True\)"):
        run(backend, compute_request(slopes))
    asked = compute_request(slopes, gradients=True)
    found, _ = run(backend, asked)
    for client in range(3):
        x, y = samples(client)
        logits = NET({name: tensor[client] for name, tensor in asked.params.items()}, x)
        residual = (logits.softmax(1) - torch.nn.functional.one_hot(y, 3)).sum(0)
        torch.testing.assert_close(found[client], residual, rtol=1e-4, atol=1e-5)
