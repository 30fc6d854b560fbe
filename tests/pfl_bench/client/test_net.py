"""A client model as losses see it: whole, in halves, and strict about its parameters."""

import pytest
import torch

from pfl_bench.client.batches import Batch
from pfl_bench.client.build import make_model

MODELS = [("mlp", (1, 8, 8)), ("lenet", (3, 32, 32)), ("lenet7", (1, 16, 16))]


def example(name="mlp", shape=(1, 8, 8)):
    model = make_model(name, shape, 3)
    torch.manual_seed(0)
    return model, model.init(0), torch.randn(5, *shape)


@pytest.mark.parametrize(("name", "shape"), MODELS)
def test_the_whole_is_the_head_of_the_features(name, shape):
    model, params, x = example(name, shape)
    net = model.evaluating()
    z = net.features(params, x)
    assert z.dim() == 2 and len(z) == 5
    torch.testing.assert_close(net.head(params, z), net(params, x))


def test_halves_take_the_whole_parameters_or_just_their_own():
    model, params, x = example()
    net, body, head = model.evaluating(), params.without(model.head), params.only(model.head)
    z = net.features(params, x)
    assert torch.equal(net.features(body, x), z)
    assert torch.equal(net.head(head, z), net.head(params, z))


def test_missing_parameters_are_an_error_and_never_filled_in():
    model, params, x = example()
    net = model.evaluating()
    with pytest.raises(ValueError, match=r"'mlp' got the wrong parameters: missing hidden.weight, hidden.bias$"):
        net(params.only(model.head), x)
    with pytest.raises(ValueError, match="missing hidden.bias"):
        net.features(params.without(["hidden.bias"]), x)
    with pytest.raises(ValueError, match="missing head.weight, head.bias"):
        net.head(params.without(model.head), torch.randn(5, 64))


def test_unknown_parameters_are_an_error():
    model, params, x = example()
    net, odd = model.evaluating(), params | {"classifier.bias": torch.zeros(3)}
    for call in (lambda: net(odd, x), lambda: net.features(odd, x), lambda: net.head(odd, torch.randn(5, 64))):
        with pytest.raises(ValueError, match="unknown classifier.bias"):
            call()


def test_a_misspelt_parameter_is_missing_and_unknown():
    model, params, x = example()
    with pytest.raises(ValueError, match="missing head.bias; unknown head.bais"):
        model.evaluating()(params.without(["head.bias"]) | {"head.bais": params["head.bias"]}, x)


def test_halves_are_differentiable_and_can_be_stacked():
    model, params, x = example()
    net = model.evaluating()

    def loss(own):
        return net.head(own, net.features(own, x).square()).sum()

    found = torch.func.grad(loss)(dict(params))
    assert all(found[name].abs().sum() > 0 for name in model.trainable)
    twice = {name: torch.stack([tensor, 2 * tensor]) for name, tensor in params.items()}
    stacked = torch.func.vmap(lambda own: net.features(own, x))(twice)
    torch.testing.assert_close(stacked[0], net.features(params, x))


def test_passes_are_counted():
    model, params, x = example()
    net = model.evaluating()
    net.head(params, net.features(params, x))
    net(params, x)
    assert net.calls == 2, "a head on features is the second half of one pass"


def test_a_net_for_computing_refuses_derivatives_that_nobody_asked_for():
    model, params, x = example()
    batch = Batch(x, torch.zeros(5, dtype=torch.int64), torch.ones(5))

    def slope(net):
        return torch.func.grad(lambda own: net(own, x).sum())(dict(params))

    def tangent(net):
        return torch.func.jvp(lambda own: net(own, x).sum(), (dict(params),), (dict(params),))

    def enabled(net):
        with torch.enable_grad():
            return net(params, x)

    for attempt in (slope, tangent, enabled):
        with torch.no_grad(), pytest.raises(RuntimeError, match=r"ask for compute\(..., gradients=True\)"):
            attempt(model.computing(batch.weight, gradients=False))
        with torch.no_grad():
            attempt(model.computing(batch.weight, gradients=True))
    with torch.no_grad():
        model.computing(batch.weight, gradients=False)(params, x)
