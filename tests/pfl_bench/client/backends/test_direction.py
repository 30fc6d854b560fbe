"""Clients stacked: how parameters lie in memory, what makes two steps the same, and that tracing changes nothing."""

import pytest
import torch

from pfl_bench.client.backends import traced, vmap
from pfl_bench.client.backends.direction import Direction, Layout
from pfl_bench.client.backends.traced import TraceCache

from .cases import CASES, MODEL, MODELS, Lookahead, Near, assert_close, case, request, train


@pytest.mark.parametrize("name", ["plain", "head only", "groups"])
def test_views_of_the_flat_tensors_are_the_parameters(name):
    asked = case(MODEL, name)
    layout = Layout.of(asked)
    flats = layout.flatten(asked.params)
    assert [flat.dim() for flat in flats] == [2] * len(layout.groups)
    views = layout.views(flats)
    assert set(views) == set(asked.trainable) == layout.names
    for key, view in views.items():
        assert torch.equal(view, asked.params[key])
    flats[0].zero_()
    assert any(not view.any() for view in layout.views(flats).values()), "views, not copies"


def test_equal_requests_are_the_same_step():
    def direction(**changes):
        return Direction.of(MODEL, request(**changes))

    assert direction() == direction() and hash(direction()) == hash(direction())
    assert direction(loss=Near(0.3)) == direction(loss=Near(0.3)) != direction(loss=Near(0.4))
    assert direction(rule=Lookahead()) == direction(rule=Lookahead()) != direction(rule=Lookahead(0.2))
    assert direction() != direction(trainable=tuple(MODEL.head))


@pytest.mark.parametrize("backend", ["loop", "vmap"])
@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
@pytest.mark.parametrize("name", CASES)
def test_a_traced_step_is_the_step_itself(monkeypatch, model, name, backend):
    with traced.untraced():
        as_it_is = train(backend, case(model, name), model)
    monkeypatch.setattr(traced, "TRACES", cache := TraceCache(warm_calls=0))
    recorded = train(backend, case(model, name), model)
    assert cache.traced
    assert_close(as_it_is, recorded, exact=True)
    assert_close(as_it_is, train(backend, case(model, name), model), exact=True)


def test_a_loss_of_another_weight_is_another_trace(monkeypatch):
    monkeypatch.setattr(traced, "TRACES", TraceCache(warm_calls=0))
    anchor = dict(request().params)
    first, second, again = (train("vmap", request(loss=Near(w), aux=anchor)) for w in (0.3, 3.0, 0.3))
    assert_close(first, again, exact=True)
    assert any(not torch.allclose(first.params[key], second.params[key]) for key in first.params)


@pytest.mark.parametrize("values", [1, 150, 2**22])
def test_samples_gathered_at_once_or_step_by_step_are_the_same(monkeypatch, values):
    expected = train("vmap", request())
    monkeypatch.setattr(vmap, "GATHER_VALUES", values)
    assert_close(train("vmap", request()), expected, exact=True)
