"""Traces by key and layout."""

import torch

from pfl_bench.client.backends.traced import TraceCache


def test_traces_are_kept_per_key_and_layout_and_forgotten_in_order():
    cache, seen = TraceCache(warm_calls=0, kept=2), []

    def double(x):
        seen.append(len(x))
        return 2 * x

    for size in (3, 3, 4):
        assert torch.equal(cache.call("double", double, torch.ones(size)), 2 * torch.ones(size))
    assert seen == [3, 4], "called to be traced only, once per layout"
    cache.call("other", lambda x: x + 1, torch.ones(3))
    assert len(cache) == cache.traced == 2
    cache.call("double", double, torch.ones(3))
    assert seen == [3, 4, 3]


def test_a_function_runs_as_it_is_until_it_is_warm():
    cache, seen = TraceCache(warm_calls=2), []

    def double(x):
        seen.append(len(x))
        return 2 * x

    for _ in range(5):
        cache.call("double", double, torch.ones(3))
    assert len(seen) == 3, "two warm calls and the one that is traced"
    assert cache.traced == 1


def test_what_cannot_be_traced_runs_as_it_is():
    cache = TraceCache(warm_calls=0)
    for value in (1.0, -1.0):
        found = cache.call("branch", lambda x: x if x.item() > 0 else -x, torch.tensor(value))
        assert found == 1
    assert (len(cache), cache.traced) == (1, 0)
