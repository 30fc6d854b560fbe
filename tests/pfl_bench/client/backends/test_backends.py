from dataclasses import replace

import numpy as np
import pytest
import torch
from pfl_bench.client.training import BatchPlan, Sgd, TrainRequest, cross_entropy

from pfl_bench.client.backends import BACKENDS, choose_backend, graph, vmap
from pfl_bench.client.backends.cuda_graphs import Recordings
from pfl_bench.client.backends.traced import TraceCache
from pfl_bench.client.model import make_model
from pfl_bench.client.params import Params, squared_distance, zeros_like
from pfl_bench.data.pool import ImagePool
from pfl_bench.errors import RequestError

MODEL = make_model("mlp", (1, 4, 4), 3)
CONV = make_model("lenet7", (3, 16, 16), 3)


def pool(shape=(40, 4, 4, 1)) -> ImagePool:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 3, shape[:1], generator=generator)
    ones = (0.5,) * shape[-1]
    return ImagePool.of(images.numpy(), labels.numpy(), ones, ones, torch.device("cpu"))


def request(model=MODEL, clients=3, **changes) -> TrainRequest:
    params = Params({k: torch.stack([v * (1 + 0.1 * c) for c in range(clients)]) for k, v in model.init(0).items()})
    generator = torch.Generator().manual_seed(1)
    plan = BatchPlan(
        torch.randint(0, 40, (clients, 4, 2, 6), generator=generator),
        np.array([[[6, 6]] * 4, [[1, 2]] * 4, [[3, 6], [6, 1], [2, 2], [5, 5]]])[:clients],
    )
    base = {
        "params": params,
        "plan": plan,
        "sgd": Sgd(0.1, 0.9, 1e-3, 0.5),
        "trainable": tuple(params),
        "momentum": zeros_like(params),
    }
    return TrainRequest(**{**base, **changes})


def prox(apply, params, batch, aux):
    return cross_entropy(apply, params, batch) + 0.3 * squared_distance(params, aux)


def two_step_rule(gradient, params, batches, aux, memory):
    """Uses both batches and carries a running mean."""
    first = gradient(params, batches[0])
    second = gradient({k: v - 0.1 * first[k] for k, v in params.items()}, batches[1])
    memory = {k: 0.5 * memory[k] + second[k] for k in second}
    return memory, {k: v.clone() for k, v in memory.items()}


def variants(model):
    base = request(model)
    return {
        "plain": request(model),
        "proximal": request(model, loss=prox, aux=dict(base.params)),
        "rule": request(model, rule=two_step_rule, memory=dict(zeros_like(base.params))),
        "head only": request(model, trainable=tuple(model.head), momentum=zeros_like(base.params.only(model.head))),
        "carried momentum": request(model, momentum=base.params.map(torch.ones_like)),
    }


@pytest.mark.parametrize("model", [MODEL, CONV], ids=["dense", "convolutional"])
@pytest.mark.parametrize("name", ["plain", "proximal", "rule", "head only", "carried momentum"])
@pytest.mark.parametrize("backend", ["vmap", "graph"])
def test_every_backend_is_loop(model, name, backend):
    data = pool((40, 16, 16, 3)) if model is CONV else pool()
    results = [BACKENDS[b].train(model, data, variants(model)[name]) for b in ("loop", backend)]
    for field in ("params", "momentum"):
        loop, vmap = (getattr(r, field) for r in results)
        assert list(loop) == list(vmap)
        for key in loop:
            torch.testing.assert_close(loop[key], vmap[key], rtol=1e-4, atol=1e-5)
    if name == "rule":
        for key, value in results[0].memory.items():
            torch.testing.assert_close(value, results[1].memory[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", ["loop", "vmap"])
def test_what_is_not_trainable_stays_and_inputs_are_left_alone(backend):
    own = request(trainable=tuple(MODEL.head), momentum=zeros_like(request().params.only(MODEL.head)))
    before = own.params.map(torch.clone)
    trained = BACKENDS[backend].train(MODEL, pool(), own)
    for key in own.params:
        assert torch.equal(own.params[key], before[key])
        assert torch.equal(trained.params[key], before[key]) == (key not in MODEL.head)


def test_logits_agree():
    params, x = request().params, torch.randn(3, 5, 1, 4, 4)
    torch.testing.assert_close(BACKENDS["loop"].logits(MODEL, params, x), BACKENDS["vmap"].logits(MODEL, params, x))


def test_choice():
    cpu = torch.device("cpu")
    assert choose_backend("auto", CONV, cpu).name == "loop"
    assert "vmap" in choose_backend("auto", MODEL, cpu).name
    assert choose_backend("auto", CONV, torch.device("cuda")).name == "graph"
    with pytest.raises(RequestError, match="unknown backend 'lop': did you mean 'loop'"):
        choose_backend("lop", MODEL, cpu)


def test_auto_on_dense_models_is_the_loop_for_one_client():
    single = request(clients=1)
    auto = choose_backend("auto", MODEL, torch.device("cpu")).train(MODEL, pool(), single)
    loop = BACKENDS["loop"].train(MODEL, pool(), single)
    assert all(torch.equal(auto.params[k], loop.params[k]) for k in loop.params)


@pytest.mark.parametrize("model", [MODEL, CONV], ids=["dense", "convolutional"])
@pytest.mark.parametrize("name", ["plain", "proximal", "rule", "head only", "carried momentum"])
def test_a_traced_step_is_the_step_itself(monkeypatch, model, name):
    data = pool((40, 16, 16, 3)) if model is CONV else pool()
    monkeypatch.setattr(vmap, "TRACES", TraceCache(warm_calls=10**9))
    as_it_is = BACKENDS["vmap"].train(model, data, variants(model)[name])
    monkeypatch.setattr(vmap, "TRACES", cache := TraceCache(warm_calls=1))
    traced = BACKENDS["vmap"].train(model, data, variants(model)[name])
    assert any(entry.trace is not None and not isinstance(entry.trace, vmap.Direction) for entry in _entries(cache))
    for field in ("params", "momentum"):
        assert all(torch.equal(a, getattr(traced, field)[k]) for k, a in getattr(as_it_is, field).items())


def _entries(cache):
    return cache._entries.values()


def test_traces_are_kept_per_key_and_layout_and_forgotten_in_order():
    cache, seen = TraceCache(warm_calls=0, kept=2), []

    def double(x):
        seen.append(len(x))
        return 2 * x

    for size in (3, 3, 4):
        assert torch.equal(cache.call("double", double, torch.ones(size)), 2 * torch.ones(size))
    assert seen == [3, 4], "called to be traced only, once per layout"
    cache.call("other", lambda x: x + 1, torch.ones(3))
    assert len(cache._entries) == 2
    cache.call("double", double, torch.ones(3))
    assert seen == [3, 4, 3]


def test_what_cannot_be_traced_runs_as_it_is():
    cache = TraceCache(warm_calls=0)
    for value in (1.0, -1.0):
        found = cache.call("branch", lambda x: x if x.item() > 0 else -x, torch.tensor(value))
        assert found == 1


@pytest.mark.parametrize("name", ["plain", "proximal", "rule", "head only", "carried momentum"])
def test_a_recorded_step_serves_later_requests_of_the_same_shape(monkeypatch, name):
    monkeypatch.setattr(graph, "RECORDINGS", Recordings())
    first = variants(MODEL)[name]
    other = replace(
        first, params=first.params.map(lambda p: p + 0.1), plan=replace(first.plan, indices=39 - first.plan.indices)
    )
    data = pool()
    for asked in (first, other, first):
        for field in ("params", "momentum"):
            expected, found = (getattr(BACKENDS[b].train(MODEL, data, asked), field) for b in ("vmap", "graph"))
            assert all(torch.equal(expected[k], found[k]) for k in expected)
    assert len(graph.RECORDINGS._held) == 1
