"""What a method is shown cannot be turned into something that may do more."""

import copy
import dataclasses
import pickle

import pytest
import torch

from pfl_bench.api import Sgd
from pfl_bench.engine.meter import BudgetError
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import tiny_setup


@pytest.fixture
def fed():
    return Harness("fedavg").fed


@pytest.mark.parametrize(
    ("name", "value"), [("phase", "enroll"), ("local_steps", 10**6), ("round", 0), ("progress", 0.0), ("costs", None)]
)
@pytest.mark.parametrize("setting", [setattr, object.__setattr__])
def test_where_the_run_is_cannot_be_set(fed, name, value, setting):
    with pytest.raises(AttributeError):
        setting(fed, name, value)
    assert (fed.phase, fed.local_steps) == ("train", 20)


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, pickle.dumps, lambda fed: fed.__reduce_ex__(2), lambda fed: fed.__getstate__(),
     lambda fed: dataclasses.replace(fed, phase="enroll"), lambda fed: vars(fed), lambda fed: dataclasses.astuple(fed)],
)  # fmt: skip
def test_there_is_no_second_federation_in_another_phase(fed, duplicate):
    with pytest.raises(TypeError):
        duplicate(fed)


def test_its_parts_spend_the_same_allowance(fed):
    cohort = fed.everyone[:1]
    for part in fed.part(0.5):
        assert (part.phase, part.local_steps) == (fed.phase, fed.local_steps)
        part.train(part.send(fed.init_params(), cohort), cohort, Sgd(0.1), steps=fed.local_steps)
    assert fed.costs.local_steps == 2 * fed.local_steps
    with pytest.raises(BudgetError, match="took 40 mini-batch gradients of client 0"):
        fed.check_spent("a method")


def test_what_it_hands_out_of_its_clients_is_a_copy(fed):
    for hand_out in (lambda: fed.sizes, lambda: fed.class_counts, lambda: fed.everyone):
        before = hand_out().clone()
        hand_out().zero_()
        assert torch.equal(hand_out(), before)


def test_the_shape_of_a_sample_is_what_a_loss_gets():
    """Channels first, as in ``Batch.x``."""
    harness = Harness("fedavg", tiny_setup("synthetic:classes=3,n=180,side=16,channels=3", "lenet7"))
    assert harness.fed.input_shape == (3, 16, 16) == tuple(harness.samples(0)[0].shape[1:])
