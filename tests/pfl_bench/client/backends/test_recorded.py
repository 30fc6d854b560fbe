"""Functions recorded and replayed: the same to the last bit, whatever they do, or refused."""

import subprocess
import sys

import pytest
import torch
from torch.utils import _pytree as pytree

from pfl_bench.client.backends.recorded import UnrecordableError, record
from pfl_bench.client.backends.traced import TraceCache, _flatten

HELD = torch.arange(3.0)


def slope(x, y):
    leaf = x.detach().requires_grad_()
    value = (torch.relu(leaf @ y).log_softmax(-1) * 1).square().sum()
    return {"slope": torch.autograd.grad(value, leaf)[0]}, value.detach(), None


def with_a_constant(x, y):
    return (x + HELD[:, None]).expand(3, 3).contiguous(), y.view(3, 3)


def in_place(x, y):
    z = x.detach()
    z += y
    return z * 1, x


def several(x, y):
    return list(torch.split(torch.cat([x, y]), 2)), torch.linalg.svd(x).S


def with_a_map(x, y):
    return torch.func.vmap(lambda a, b: torch.func.grad(lambda c: (c.exp() * b).sum())(a))(x, y)


@pytest.mark.parametrize("function", [slope, with_a_constant, in_place, several, with_a_map])
def test_a_replay_is_the_function(function):
    def inputs():
        generator = torch.Generator().manual_seed(0)
        return [(torch.randn(3, 3, generator=generator), torch.randn(3, 3, generator=generator)) for _ in range(3)]

    expected = [function(*pair) for pair in inputs()]
    first, *others = inputs()
    found, replay = record(function, first)
    for mine, theirs in zip([found, *(replay(*pair) for pair in others)], expected, strict=True):
        leaves, structure = pytree.tree_flatten(theirs)
        own, own_structure = pytree.tree_flatten(mine)
        assert own_structure == structure
        assert all(a is b is None or torch.equal(a, b) for a, b in zip(own, leaves, strict=True))


def test_one_tensor_given_twice_is_two_inputs():
    x, y = torch.ones(2), torch.full((2,), 5.0)
    _, replay = record(lambda a, b: a - 2 * b, (x, x))
    assert torch.equal(replay(x, y), x - 2 * y)


def test_what_is_changed_in_place_is_changed_in_the_replay_too():
    _, replay = record(lambda x: x.add_(1), (torch.zeros(2),))
    mine = torch.zeros(2)
    replay(mine)
    assert mine.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("function", [lambda x: x if x.sum() > 0 else -x, lambda x: x * x.max().item()])
def test_a_function_that_reads_values_is_refused(function):
    with pytest.raises(UnrecordableError, match="reads a tensor's value"):
        record(function, (torch.ones(2),))


def test_what_was_written_before_a_refusal_is_written_once():
    """The server's work changes its weights in place; tried as a record and then called, it may not step twice."""

    def step(weights):
        weights.sub_(1)
        return weights * weights.max().item()

    cache, weights = TraceCache(warm_calls=0), torch.full((2,), 5.0)
    for expected in (4.0, 3.0, 2.0):
        assert cache.call("step", step, weights)[0] == expected**2
        assert weights.tolist() == [expected] * 2
    assert not cache.traced


def test_idle_and_unneeded_operations_are_left_out():
    def function(x):
        x.exp()
        return x.detach().view(2, 2).expand(2, 2) * 1 + x

    _, replay = record(function, (torch.ones(2, 2),))
    assert replay.func.__code__.co_names == ("torch", "add")


def test_leaves_come_in_the_order_of_pytree():
    tree = ((torch.ones(1), {"b": torch.ones(2), "a": (None, 3)}), [torch.ones(3)], None)
    leaves = []
    structure = _flatten(tree, leaves)
    assert all(a is b for a, b in zip(leaves, pytree.tree_leaves(tree), strict=True))
    assert structure != _flatten((*tree[:2], {}), []) and structure == _flatten(tree, [])


def test_recording_loads_no_compiler():
    code = (
        "import sys, torch; from pfl_bench.client.backends.recorded import record;"
        "record(torch.func.vmap(lambda x: x.exp().sum()), (torch.ones(2, 2),)); print('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
