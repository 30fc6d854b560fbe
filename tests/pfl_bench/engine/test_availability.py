"""Absent clients and stragglers: who, how much, what it costs, and that nothing else changes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pfl_bench.client.sgd import Sgd
from pfl_bench.engine.availability import LEAST_PRESENCE, Availability
from pfl_bench.engine.events import Checkpoint, RunResult
from pfl_bench.engine.simulator import simulate
from pfl_bench.engine.steps import steps_done
from pfl_bench.running.reuse import selection_of
from pfl_bench.spec.heterogeneity import AvailabilitySpec
from pfl_bench.spec.options import Options
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.kit import EVERY_ROUND, fingerprint
from pfl_bench.testing.setup import TinySetup, tiny_setup

AWAY = AvailabilitySpec(present=0.6, spread=0.3)
SLOW = AvailabilitySpec(stragglers=0.6, least_work=0.1)
BOTH = AWAY.model_copy(update={"stragglers": 0.5})


def result_of(method: str, setup: TinySetup, options=None, **config) -> RunResult:
    *_, result = simulate(setup.spec(method, **config), setup.dataset, setup.partition, options or Options())
    assert isinstance(result, RunResult) and result.status == "finished"
    return result


@settings(max_examples=30, deadline=None)
@given(st.floats(0.05, 1, exclude_max=True), st.floats(0, 0.9), st.integers(0, 2**31))
def test_probabilities_have_the_mean_and_the_spread_that_is_asked_for(present, spread, seed):
    availability = Availability(AvailabilitySpec(present=present, spread=spread), seed)
    drawn = np.asarray([availability.probability(client) for client in range(600)])
    assert drawn.min() >= LEAST_PRESENCE and drawn.max() <= 1
    variance = spread * present * (1 - present)
    assert drawn.mean() == pytest.approx(present, abs=0.02 + 5 * (variance / 600) ** 0.5)
    assert drawn.var() == pytest.approx(variance, abs=0.06)


def test_clients_are_there_as_often_as_they_should_be():
    availability = Availability(AWAY, 0)
    everyone = np.arange(6)
    counts = sum(np.isin(everyone, availability.present(everyone, round)) for round in range(600))
    assert counts / 600 == pytest.approx([availability.probability(client) for client in range(6)], abs=0.07)


def test_presence_is_by_client_and_round_alone():
    """Whoever else is asked, in whatever order; so methods with other cohorts meet the same clients."""
    availability = Availability(AWAY, 3)
    some, everyone = np.asarray([5, 2, 7]), np.arange(9)
    for round in range(20):
        there = availability.present(some, round)
        assert there.tolist() == [c for c in (5, 2, 7) if c in availability.present(everyone, round)]
    assert (Availability(AvailabilitySpec(), 3).present(some, 0) is some) and Availability(AWAY, 3).shares(
        [1], 0
    ) is None


def test_a_round_without_stragglers_is_as_one_with():
    """A plan that says who takes how many steps in some rounds only would be another computation in these."""
    availability = Availability(AvailabilitySpec(stragglers=0.5), 0)
    shares = [availability.shares([0, 1], round) for round in range(20)]
    assert all(each is not None for each in shares)
    assert any((each == 1).all() for each in shares) and any((each < 1).any() for each in shares)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 100), st.floats(0.01, 1)), min_size=1))
def test_a_straggler_does_a_share_and_at_least_one_step_of_what_was_asked(pairs):
    asked, shares = np.asarray([a for a, _ in pairs]), np.asarray([s for _, s in pairs])
    most, done = steps_done(100, asked, shares)
    assert most == max(1, done.max()) and steps_done(100, asked, None) == (100, asked)
    assert ((done >= 1) == (asked >= 1)).all() and (done <= asked).all()
    assert (done <= np.maximum(1, asked * shares)).all() and (done > asked * shares - 1).all()


@pytest.mark.parametrize("method", ["fedavg", "ditto", "pfedhn"])
def test_full_availability_is_what_was_always_done(method):
    setup = tiny_setup().but(visits=6)
    there = setup.but(availability=AvailabilitySpec.model_construct(present=1.0, spread=0.5, least_work=0.5))
    assert fingerprint(result_of(method, there)) == fingerprint(result_of(method, setup))


@pytest.mark.parametrize("method", ["fedavg", "pfedhn"])
def test_the_budget_is_what_was_done(method):
    result = result_of(method, tiny_setup().but(availability=AWAY))
    costs = result.facts["costs"]
    assert result.facts["visits"] == 12 and costs["local_steps"] == costs["asked_steps"] == 12 * 20
    assert costs["asked_visits"] > 12 and result.facts["rounds"] > -(-12 // (5 if method == "fedavg" else 1))
    assert [row["visits"] for row in result.history][-1] == 12


def test_stragglers_cost_visits_and_the_steps_they_did():
    costs = result_of("fedavg", tiny_setup().but(availability=SLOW)).facts["costs"]
    assert costs["asked_visits"] == 12 and costs["asked_steps"] == 240
    assert 12 <= costs["local_steps"] < 240 and costs["samples"] == pytest.approx(8 * costs["local_steps"])


def test_a_straggler_takes_the_first_of_its_steps():
    """Its model is the one that so many steps lead to; the others' models do not change by it."""
    harness = Harness("fedavg", tiny_setup().but(availability=SLOW))
    fed, cohort = harness.fed, harness.clients()
    start = fed.send(harness.server, cohort)
    found = fed.train(start, cohort, Sgd(0.1))
    steps = found.steps.tolist()
    assert min(steps) < 20 and max(steps) == 20
    assert (~found.losses.isnan()).sum(1).tolist() == steps
    plain = Harness("fedavg", tiny_setup())
    for client, count in enumerate(steps):
        alone = plain.fed.train(plain.fed.send(plain.server, plain.clients(client)), plain.clients(client), Sgd(0.1),
                                steps=count)  # fmt: skip
        for name, value in alone.params.items():
            assert torch.allclose(value[0], found.params[name][client], rtol=1e-4, atol=1e-6)
    assert harness.costs.local_steps == sum(steps) and harness.costs.asked_steps == 6 * 20


def test_only_rounds_have_stragglers():
    harness = Harness("fedavg", tiny_setup().but(availability=SLOW))
    for phase in ("init", "adapt", "enroll"):
        fed = harness.federation(phase)
        assert fed.train(fed.send(harness.server, fed.everyone), fed.everyone, Sgd(0.1)).steps.tolist() == [20] * 6


@pytest.mark.parametrize("method", ["scaffold", "fednova"])
def test_back_ends_agree(method):
    setup = tiny_setup().but(availability=BOTH, visits=8)
    loop, vmap = (result_of(method, setup, Options(backend=name)) for name in ("loop", "vmap"))
    for one, other in zip(loop.history, vmap.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)


def test_a_run_goes_on_where_it_was():
    setup = tiny_setup().but(availability=BOTH, visits=8)
    events = list(simulate(setup.spec("ditto"), setup.dataset, setup.partition, EVERY_ROUND))
    for checkpoint in [event for event in events if isinstance(event, Checkpoint)]:
        *_, resumed = simulate(setup.spec("ditto"), setup.dataset, setup.partition, Options(), checkpoint.data)
        assert fingerprint(resumed) == fingerprint(events[-1])


def test_scaffolds_control_variates_are_mean_gradients_of_the_steps_that_were_taken():
    """One step of size lr moves by lr times the gradient: with all clients stragglers of one step, c_i is that."""
    slow = AvailabilitySpec(stragglers=1.0, least_work=1e-6)
    harness = Harness("scaffold", tiny_setup().but(availability=slow, local_steps=1, visits=40), lr=0.1)
    quick = Harness("scaffold", tiny_setup().but(local_steps=1, visits=40), lr=0.1)
    for one in (harness, quick):
        one.round(0, 1, 2)
    for mine, other in zip(harness.tensors(), quick.tensors(), strict=True):
        assert torch.equal(mine, other)
    longer = Harness(
        "scaffold", tiny_setup().but(availability=AvailabilitySpec(stragglers=1.0, least_work=0.3)), lr=0.1
    )
    start = longer.server
    trained = longer.fed.train(longer.fed.send(start, longer.clients(4)), longer.clients(4), Sgd(0.1))
    (steps,) = trained.steps.tolist()
    longer.round(4)
    own = longer.state.own.rows(longer.clients(4))
    assert steps < 20
    for name, value in own.items():
        assert torch.allclose(value[0], (start[name] - trained.params[name][0]) / (steps * 0.1), rtol=1e-4, atol=1e-6)


def test_with_rounds_of_any_size_a_selected_evaluation_stays_selected():
    """Where clients are away it is not known how many visits the round before an evaluation had."""
    from types import SimpleNamespace

    setup = tiny_setup().but(availability=AWAY)
    record = SimpleNamespace(official=SimpleNamespace(best={"visits": 8}))
    assert selection_of(record, setup.spec("lg_fedavg", warm_start=0.5)) == ""
    assert selection_of(record, tiny_setup().spec("lg_fedavg", warm_start=0.5)) != ""
