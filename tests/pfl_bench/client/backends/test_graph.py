"""The recorded step. Elsewhere than on a GPU it is done again on the same memory, which tests all but the capture."""

from dataclasses import replace

import pytest
import torch

from pfl_bench.client.backends import BACKENDS, graph
from pfl_bench.client.backends.cuda_graphs import Recordings

from .cases import CASES, MODEL, Near, assert_close, case, pool, request


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_step_serves_later_requests_of_the_same_shape(monkeypatch, name):
    monkeypatch.setattr(graph, "RECORDINGS", recordings := Recordings())
    first = case(MODEL, name)
    other = replace(
        first, params=first.params.map(lambda p: p + 0.1), plan=replace(first.plan, indices=39 - first.plan.indices)
    )
    data = pool()
    for asked in (first, other, first):
        expected, found = (BACKENDS[b].train(MODEL, data, asked) for b in ("vmap", "graph"))
        assert_close(expected, found, exact=True)
    assert len(recordings) == 1


def test_what_is_another_computation_is_recorded_anew(monkeypatch):
    monkeypatch.setattr(graph, "RECORDINGS", recordings := Recordings())
    data, anchor = pool(), dict(request().params)
    for asked in (request(), request(loss=Near(0.3), aux=anchor), request(loss=Near(0.4), aux=anchor), request()):
        expected, found = (BACKENDS[b].train(MODEL, data, asked) for b in ("vmap", "graph"))
        assert_close(expected, found, exact=True)
    assert len(recordings) == 3


def test_results_are_not_overwritten_by_the_next_replay(monkeypatch):
    monkeypatch.setattr(graph, "RECORDINGS", Recordings())
    data = pool()
    first = BACKENDS["graph"].train(MODEL, data, request())
    kept = first.params.map(torch.clone), first.losses.clone()
    BACKENDS["graph"].train(MODEL, data, case(MODEL, "carried momentum"))
    assert all(torch.equal(first.params[key], kept[0][key]) for key in kept[0])
    assert torch.equal(first.losses, kept[1])
