"""The short look: one round of every method, the conformance kit on two. ``test_conformance`` is the long one."""

import pytest
import torch

from pfl_bench.registry import METHODS
from pfl_bench.testing import CHECKS, Context, examine
from pfl_bench.testing.harness import Harness


@pytest.mark.parametrize("method", METHODS.names())
def test_one_round(method):
    harness = Harness(method, rounds=1)
    for moment in harness.method.moments():
        served = harness.served(moment)
        assert all(torch.isfinite(tensor).all() for tensor in served.params.values())
    assert harness.costs.local_steps > 0


@pytest.mark.parametrize("method", ["fedavg", "pfedme"])
def test_the_kit_on_two_methods(method):
    checks = [check for check in CHECKS if check.examine.__name__ != "same_under_ray"]
    assert [(check.title, said) for check, said in examine(checks, method, Context((method,))) if said] == []
