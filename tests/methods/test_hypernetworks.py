"""Hypernetworks beside pFedHN: each is what its paper says, by an identity or by hand."""

import pytest
import torch
from pfl_bench.methods import pfedla

from pfl_bench.testing.harness import Harness
from tests.methods.rounds import close_or_same, row


def test_pfedla_descends_the_distance_to_what_came_back():
    """The step on v_i and psi_i against central differences of |mixed - returned|^2 / 2: its size and its sign."""
    mixed = pfedla.mixed
    harness = Harness("pfedla", rounds=2, lr=0.1, hn_lr=1e-2, embedding=4, hidden=5)
    cohort, layers = harness.clients(0, 3), harness.fed.model.layers
    before, models = harness.state.phi.rows(cohort), harness.state.models.rows(harness.clients())
    harness.round(0, 3)
    after, returned = harness.state.phi.rows(cohort), harness.state.models.rows(cohort)
    doubles = [{n: t.double() for n, t in tree.items()} for tree in (before, models, returned)]

    def distance(phi) -> float:
        made = mixed(phi, doubles[1], layers)
        return sum(float((made[name] - doubles[2][name]).square().sum()) for name in made) / 2

    for name, tensor in before.items():
        steepest = (after[name] - tensor).abs().flatten().topk(4).indices
        for at in steepest:
            moved = [doubles[0][name].clone() for _ in range(2)]
            for sign, copy in zip((1, -1), moved, strict=True):
                copy.view(-1)[at] += sign * 1e-5
            ahead, behind = (distance({**doubles[0], name: copy}) for copy in moved)
            step = float((after[name] - tensor).flatten()[at])
            assert step == pytest.approx(-1e-2 * (ahead - behind) / 2e-5, rel=2e-2, abs=1e-6), name
    assert distance({n: t.double() for n, t in after.items()}) < distance(doubles[0])


def test_pfedla_starts_near_the_mean_with_weights_that_sum_to_one():
    harness = Harness("pfedla")
    weights = pfedla.layer_weights(harness.state.phi)
    assert weights.shape == (6, len(harness.fed.model.layers), 6) and (weights > 0).all()
    torch.testing.assert_close(weights.sum(2), torch.ones(6, 2))
    assert (weights - 1 / 6).abs().max() < 0.1
    close_or_same(row(harness.received, 0), harness.fed.init_params(), exact=False)
