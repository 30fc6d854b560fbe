"""All back-ends mean the same; which one is taken."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from pfl_bench.client.backends import BACKENDS, choose_backend
from pfl_bench.client.build import make_model, register_model
from pfl_bench.client.losses import GradientRule
from pfl_bench.client.requests import Served
from pfl_bench.errors import RequestError

from .cases import CASES, CONV, MODEL, MODELS, assert_close, case, pool, request, train

CPU = torch.device("cpu")


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("backend", ["vmap", "graph"])
def test_every_backend_is_loop(model, name, backend):
    loop, other = (train(b, case(model, name), model) for b in ("loop", backend))
    assert_close(loop, other)


def layered(shape, classes):
    body = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3))
    return nn.Sequential(body, nn.Linear(8, classes))


@pytest.mark.parametrize("name", ["plain", "rule", "uneven steps"])
def test_batch_norm_and_dropout_are_the_same_everywhere(name):
    """Batches of other lengths per client, so that some backends pad them; buffers move along."""
    register_model("layered")(layered)
    model = make_model("layered", (1, 4, 4), 3)
    asked = case(model, name)
    names = tuple(key for key in asked.params if key in model.trainable)
    asked = replace(
        asked,
        plan=replace(asked.plan, noise=torch.arange(144).view(3, 4, 2, 6)),
        trainable=names,
        momentum=asked.momentum.only(names),
        carry=asked.carry and {key: asked.carry[key] for key in names},
    )
    loop, *others = (train(backend, asked, model) for backend in BACKENDS)
    for other in others:
        assert_close(loop, other)
    for key in model.buffers:
        assert not torch.equal(loop.params[key][0], asked.params[key][0])
    again = train("loop", replace(asked, plan=replace(asked.plan, noise=1 + asked.plan.noise)), model)
    assert any(not torch.allclose(loop.params[key], again.params[key]) for key in names), "another mask"


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_not_trainable_stays_and_inputs_are_left_alone(backend):
    own = case(MODEL, "head only")
    before = own.params.map(torch.clone)
    trained = train(backend, own)
    for key in own.params:
        assert torch.equal(own.params[key], before[key])
        assert torch.equal(trained.params[key], before[key]) == (key not in MODEL.head)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_comes_back_never_aliases_what_was_given(backend):
    own = case(MODEL, "head only")
    before = own.params.map(torch.clone)
    for tensor in train(backend, own).params.values():
        tensor.add_(1)
    assert all(torch.equal(own.params[key], before[key]) for key in before)


def leaning(net, params, x, aux):
    """The forward pass, leaning towards a class."""
    return net(params, x) + aux["lean"]


def test_logits_agree():
    params, x, counts = request().params, torch.randn(3, 5, 1, 4, 4), torch.ones(3, 5)
    plain, own = Served(params), Served(params, leaning, {"lean": torch.eye(3)})
    for served in (plain, own):
        loop, *stacked = (BACKENDS[name].logits(MODEL, served, x, counts) for name in BACKENDS)
        torch.testing.assert_close(loop, stacked[0])
        assert all(torch.equal(other, stacked[0]) for other in stacked)
    torch.testing.assert_close(loop, BACKENDS["loop"].logits(MODEL, plain, x, counts) + torch.eye(3).unsqueeze(1))


def test_choice():
    assert choose_backend("auto", CONV, CPU).name == "loop"
    assert "vmap" in choose_backend("auto", MODEL, CPU).name
    assert choose_backend("auto", CONV, torch.device("cuda")).name == "graph"
    assert choose_backend("lockstep", CONV, torch.device("cuda")).train is BACKENDS["graph"].train
    with pytest.raises(RequestError, match="unknown backend 'lop': did you mean 'loop'"):
        choose_backend("lop", MODEL, CPU)


def test_a_model_that_needs_a_backend_gets_it_or_the_request_is_refused():
    register_model("alone", backend="loop")(lambda shape, classes: nn.Sequential(nn.Flatten(), nn.Linear(16, classes)))
    model = make_model("alone", (1, 4, 4), 3)
    for name in ("auto", "loop"):
        assert choose_backend(name, model, torch.device("cuda")).name == "loop"
    with pytest.raises(RequestError, match="--backend: 'vmap' cannot run client model 'alone'; it needs loop"):
        choose_backend("vmap", model, CPU)


def test_auto_on_dense_models_is_the_loop_for_one_client():
    single = request(clients=1)
    auto = choose_backend("auto", MODEL, CPU).train(MODEL, pool(), single)
    assert_close(auto, train("loop", single), exact=True)


@dataclass(frozen=True)
class Dear(GradientRule):
    """It says that a step costs one gradient, and takes others."""

    calls: int

    def __call__(self, gradient, params, batches, aux, carry):
        direction = {name: torch.zeros_like(tensor) for name, tensor in params.items()}
        for _ in range(self.calls):
            direction = gradient(params, batches[0])
        return direction, carry


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("calls", [0, 2])
def test_a_rule_that_takes_other_gradients_than_it_says_is_refused(backend, calls):
    train(backend, request(rule=Dear(1)))
    with pytest.raises(ValueError, match=f"rule Dear called gradient {calls} times in a step; .* says 1, which is"):
        train(backend, request(rule=Dear(calls)))
