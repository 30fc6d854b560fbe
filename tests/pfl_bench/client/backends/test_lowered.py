"""Recorded steps by faster operations: the same up to rounding, without what was to go, and from the first call on."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from pfl_bench.client.backends import lockstep, traced
from pfl_bench.client.backends.lowered import BIG, NARROW, lower
from pfl_bench.client.backends.recorded import record
from pfl_bench.client.backends.traced import TraceCache, untraced

from .cases import CASES, MODEL, assert_close, case, pool


def slopes(weight, x, y):
    """Of the weights of stacked linear classifiers ``[c, classes, d]``."""
    leaf = weight.detach().requires_grad_()
    values = torch.func.vmap(lambda w, a, b: F.log_softmax(a @ w.t(), -1).gather(-1, b[:, None]).mean())(leaf, x, y)
    (found,) = torch.autograd.grad(values.sum(), leaf)
    return {"slope": found.flatten(1), "values": values.detach()}


def inputs(clients=3, classes=10):
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(clients, size, 7, generator=generator) for size in (16, classes))
    return weight, x, torch.randint(0, classes, (clients, 16), generator=generator)


def operations(function, trees, lowering=None):
    return record(function, trees, lowering)[1].func.__code__.co_names


@pytest.mark.parametrize("classes", [2, 10, NARROW, NARROW + 1])
def test_lowered_is_the_function_up_to_rounding(classes):
    expected = slopes(*inputs(classes=classes))
    found, replay = record(slopes, inputs(classes=classes), lower)
    for mine in (found, replay(*inputs(classes=classes))):
        assert all(torch.equal(found[name], mine[name]) for name in expected), "the first call is a replay too"
        for name in expected:
            torch.testing.assert_close(mine[name], expected[name])


def test_gradients_of_stacked_weights_are_not_copied_and_zeros_are_kept():
    before, after = operations(slopes, inputs()), operations(slopes, inputs(), lower)
    assert "clone" in before and "clone" not in after
    assert "new_zeros" in before and "new_zeros" not in after
    assert any(name.startswith("kept") for name in after)


@pytest.mark.parametrize("clients", [1, 3])
def test_products_with_vectors_keep_their_meaning_and_outer_ones_their_bits(clients):
    def function(matrix, column, row):
        products = torch.bmm(matrix, column), torch.bmm(matrix.mT, matrix[:, :, :1]), torch.bmm(column, row)
        return dict(zip(("plain", "turned", "outer"), products, strict=True))

    generator = torch.Generator().manual_seed(0)
    given = tuple(
        torch.randn(clients, *size, generator=generator) for size in ((80, BIG // 64), (BIG // 64, 1), (1, 64))
    )
    expected, (found, replay) = function(*given), record(function, given, lower)
    for mine in (found, replay(*given)):
        torch.testing.assert_close(mine, expected)
        assert torch.equal(mine["outer"], expected["outer"])
    names = operations(function, given, lower)
    assert "mul" in names and "transpose" in names


@pytest.mark.parametrize("length", [16, 64, 640])
def test_a_row_times_a_matrix_does_not_depend_on_company(length):
    def function(matrix, column):
        return torch.bmm(matrix.mT, column)

    generator = torch.Generator().manual_seed(0)
    given = [torch.randn(5, *each, generator=generator) for each in ((BIG // 16, length), (BIG // 16, 1))]
    _, several = record(function, tuple(given), lower)
    _, one = record(function, tuple(each[:1] for each in given), lower)
    for client in range(5):
        alone = one(*(each[client : client + 1].clone() for each in given))
        assert torch.equal(several(*given)[client], alone[0])


SIZES = (1, 3, 5, 10, 16, 50, 64)


@pytest.mark.parametrize("left", ["by rows", "by columns"])
def test_no_product_of_any_size_depends_on_company(left):
    """Unlowered, a tenth of these do: single columns, and results of which a client's part begins anywhere."""
    generator = torch.Generator().manual_seed(0)

    def of(*shape):
        size = torch.Size(shape[1:]).numel()
        memory = torch.zeros(shape[0], size + -size % lockstep.UNIT)
        memory[:, :size] = torch.randn(shape[0], size, generator=generator)
        return memory[:, :size].view(shape)

    for rows, inner, columns in itertools.product(SIZES, SIZES, SIZES):
        one = of(5, rows, inner) if left == "by rows" else of(5, inner, rows).mT
        other = of(5, inner, columns)
        together, replay = record(torch.bmm, (one, other), lower)
        torch.testing.assert_close(together, torch.bmm(one, other), rtol=1e-4, atol=1e-4)
        alone = record(torch.bmm, (one[3:4], other[3:4]), lower)[0]
        assert torch.equal(alone[0], together[3]), (rows, inner, columns)
        assert together.is_contiguous() and torch.equal(replay(one, other), together)


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("columns", [12, 48, 64])
def test_a_row_times_a_matrix_that_lies_by_columns_does_not_depend_on_company(rows, columns):
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(5, 32, rows, generator=generator).mT
    other = torch.randn(5, columns, 32, generator=generator).mT
    together = record(torch.bmm, (one, other), lower)[0]
    torch.testing.assert_close(together, torch.bmm(one, other))
    alone = record(torch.bmm, (one[3:4], other[3:4]), lower)[0]
    assert torch.equal(alone[0], together[3])


def test_products_of_what_writes_into_its_own_memory_do_not_depend_on_company_either():
    """The backward pass of a norm does so: a loss that takes one (MOON, GPFL, FedCP) was not lowered at all."""

    def function(one, other):
        return torch.bmm(one, other * 1).mul_(2)

    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(5, 16, 7, generator=generator).mT, torch.randn(5, 16, 5, generator=generator)
    together, replay = record(function, (one, other), lower)
    torch.testing.assert_close(together, function(one, other))
    assert torch.equal(replay(one, other), together)
    alone = [record(function, (one[k : k + 1].clone(), other[k : k + 1].clone()), lower)[0][0] for k in range(5)]
    assert torch.equal(torch.stack(alone), together)


def test_what_the_caller_gets_is_made_anew():
    def function(x):
        return torch.zeros_like(x).view(-1), torch.ones_like(x).split(1)[0], x + torch.ones_like(x)

    _, replay = record(function, (torch.ones(2),), lower)
    for tensor in replay(torch.ones(2)):
        tensor.add_(5)
    assert [tensor.tolist() for tensor in replay(torch.ones(2))] == [[0.0, 0.0], [1.0], [2.0, 2.0]]


def test_what_writes_in_place_stays_as_it_is_and_is_done_once():
    x = torch.zeros(2)
    found, replay = record(lambda x: x.add_(torch.ones_like(x)), (x,), lower)
    assert x.tolist() == found.tolist() == [1.0, 1.0]
    assert replay(x).tolist() == [2.0, 2.0]


def test_what_writes_into_a_part_of_what_it_is_given_stays_as_it_is_too():
    x, before = torch.zeros(4), torch.ones(2)

    def function(x):
        before.add_(1)
        return x[1:].add_(1)

    found, _ = record(function, (x,), lower)
    assert x.tolist() == [0.0, 1.0, 1.0, 1.0] and found.tolist() == [1.0] * 3 and before.tolist() == [2.0, 2.0]


def test_numbers_do_not_depend_on_what_was_called_before():
    def found(cache, calls):
        return [cache.call("slopes", slopes, *inputs())["slope"] for _ in range(calls)][-1]

    assert torch.equal(found(TraceCache(lowered=True), 1), found(TraceCache(lowered=True), 4))


@pytest.mark.parametrize("name", CASES)
def test_lock_step_lowered_is_lock_step_as_it_is(monkeypatch, name):
    monkeypatch.setattr(traced, "LOWERED", cache := TraceCache(lowered=True))
    asked = case(MODEL, name)
    found = lockstep.train(MODEL, pool(), asked)
    assert cache.traced, "it is lowered"
    with untraced():
        assert_close(lockstep.train(MODEL, pool(), asked), found)
