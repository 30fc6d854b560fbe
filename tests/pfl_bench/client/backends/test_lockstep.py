"""Requests of several runs as one: each gets what it would get alone, bit by bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils import _pytree as pytree

from pfl_bench.client.backends import lockstep, stacked_compute, traced
from pfl_bench.client.build import make_model
from pfl_bench.client.sgd import Sgd
from pfl_bench.data.inputs import InputSpec
from pfl_bench.data.pool import pool_of

from .cases import (
    CASES,
    CONV,
    MODEL,
    Near,
    alone,
    assert_close,
    case,
    class_sums,
    compute_request,
    each_loss,
    pool,
    request,
    train,
)

SHAPES = [((1, 4, 4), 3), ((1, 7, 7), 10), ((3, 5, 3), 62)]


def varied(asked, seed):
    """The same request with other parameters and samples."""
    generator = torch.Generator().manual_seed(seed)
    params = asked.params.map(lambda tensor: tensor + 0.01 * torch.randn(tensor.shape, generator=generator))
    indices = torch.randint(0, 40, asked.plan.indices.shape, generator=generator)
    return replace(asked, params=params, plan=replace(asked.plan, indices=indices))


def of_own_steps(asked, taken):
    """A request whose clients take steps of their own, as the plan of a round with stragglers says."""
    return replace(asked, plan=replace(asked.plan, taken=np.full(asked.plan.clients, taken)))


@pytest.mark.parametrize("name", CASES)
def test_training_is_the_same_alone_and_in_company(name):
    one = case(MODEL, name)
    few = alone(case(MODEL, name), 1, one.plan.steps)  # a single client that takes all steps
    if one.plan.taken is not None:
        few = of_own_steps(few, one.plan.steps)
    asked = [
        one,
        few,
        varied(one, 1),
        replace(varied(one, 2), sgd=replace(one.sgd, lr=0.01, momentum=0.0, clip_norm=None)),
    ]
    parts = [(pool(), each) for each in asked]  # pools of memory of their own
    assert len({lockstep.training_key(MODEL, each) for each in asked}) == 1
    for found, each in zip(lockstep.train_together(MODEL, parts), asked, strict=True):
        assert_close(found, lockstep.train(MODEL, pool(), each), exact=True)


@pytest.mark.parametrize("name", ["uneven steps", "uneven rule"])
def test_rounds_that_end_at_other_steps_are_one_computation(name):
    one = case(MODEL, name)
    asked = [of_own_steps(alone(varied(one, k), k, steps), steps) for k, steps in enumerate((3, 1, 2))]
    asked.insert(1, one)
    parts = [(pool(), each) for each in asked]
    assert len({lockstep.training_key(MODEL, each) for each in asked}) == 1
    for found, each in zip(lockstep.train_together(MODEL, parts), asked, strict=True):
        assert found.losses.shape == (each.plan.clients, each.plan.steps)
        assert_close(found, lockstep.train(MODEL, pool(), each), exact=True)
        assert_close(found, train("loop", each))


@pytest.mark.parametrize(("shape", "classes"), SHAPES)
@pytest.mark.parametrize("batch", [1, 6, 20])
def test_it_holds_for_odd_sizes_and_any_place_among_the_clients(monkeypatch, shape, classes, batch):
    monkeypatch.setattr(traced, "LOWERED", traced.TraceCache(lowered=True))
    model = make_model("mlp", shape, classes)
    rng = np.random.default_rng(0)
    half = (0.5,) * shape[0]
    images = rng.integers(0, 256, (40, *shape[1:], shape[0]), dtype=np.uint8)
    samples = pool_of(InputSpec("image", shape), images, rng.integers(0, classes, 40), half, half, torch.device("cpu"))

    def asked(clients, seed):
        plan = request().plan
        indices = torch.from_numpy(rng.integers(0, 40, (clients, 4, 1, batch)))
        plan = replace(plan, indices=indices, sizes=np.full((clients, 4, 1), batch))
        params = model.init(seed)
        stacked = type(params)({k: torch.stack([v * (1 + 0.1 * c) for c in range(clients)]) for k, v in params.items()})
        zeros = stacked.map(torch.zeros_like)
        return request(params=stacked, momentum=zeros, plan=plan, sgd=Sgd(0.1, 0.9, 1e-3, 1.0))

    requests = [asked(clients, seed) for seed, clients in enumerate((1, 3, 1, 5, 10))]
    whole = lockstep.train_together(model, [(samples, each) for each in requests])
    for found, each in zip(whole, requests, strict=True):
        assert_close(found, lockstep.train(model, samples, each), exact=True)


def test_what_cannot_be_one_computation_has_another_key():
    base = lockstep.training_key(MODEL, request())
    assert base == lockstep.training_key(MODEL, request(sgd=Sgd(0.5), clients=2))
    anchor = dict(request().params)
    others = [
        lockstep.training_key(CONV, request(CONV)),
        lockstep.training_key(MODEL, request(loss=Near(0.3), aux=anchor)),
        lockstep.training_key(MODEL, request(loss=Near(0.4), aux=anchor)),
        lockstep.training_key(MODEL, request(trainable=tuple(MODEL.head))),
        lockstep.training_key(MODEL, request(sgd=Sgd(0.1).but(MODEL.head, lr=0.2))),
        lockstep.training_key(MODEL, alone(request(), 0, 2)),
    ]
    assert len({base, *others}) == 7


@pytest.mark.parametrize(("function", "reduce"), [(class_sums, "sum"), (each_loss, "rows")])
@pytest.mark.parametrize("models", [None, 2])
def test_computing_is_the_same_alone_and_in_company(monkeypatch, function, reduce, models):
    one = compute_request(function, models=models, reduce=reduce)
    two = replace(one, params=one.params.map(lambda tensor: tensor * 1.01))
    assert lockstep.computing_key(MODEL, one) == lockstep.computing_key(MODEL, two)
    parts = [(pool(), one), (pool(), two), (pool(), one)]
    with torch.no_grad():
        for values in (stacked_compute.COMPUTE_VALUES, 1):
            monkeypatch.setattr(stacked_compute, "COMPUTE_VALUES", values)
            for (found, passes), (_, each) in zip(lockstep.compute_together(MODEL, parts), parts, strict=True):
                expected, once = lockstep.compute(MODEL, pool(), each)
                assert passes == once
                for a, b in zip(pytree.tree_leaves(found), pytree.tree_leaves(expected), strict=True):
                    assert torch.equal(a, b)


def test_models_whose_numbers_would_depend_on_company_are_known():
    assert lockstep.independent(MODEL) and not lockstep.independent(CONV)
