"""Novel clients: left out of training, enrolled after it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pfl_bench.methods._hypernetwork import generate

from pfl_bench.api import LocalSgdConfig, Served, State, register_method
from pfl_bench.data.alike import with_shifts
from pfl_bench.data.partition import make_partition
from pfl_bench.engine import checkpoint
from pfl_bench.engine.enrollment import class_shares, enroll, nearest
from pfl_bench.engine.evaluation import EvaluationSet, as_served, evaluate
from pfl_bench.engine.events import RunResult
from pfl_bench.engine.federation import Federation
from pfl_bench.engine.meter import BudgetError
from pfl_bench.engine.method import Method
from pfl_bench.engine.places import newcomers
from pfl_bench.engine.simulator import simulate
from pfl_bench.errors import RequestError
from pfl_bench.registry import METHODS
from pfl_bench.spec.heterogeneity import ShiftSpec
from pfl_bench.spec.options import Options
from pfl_bench.spec.scenario import EnrollSpec, read_scenario
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import TinySetup, tiny_setup

ENROLL = EnrollSpec(steps=10, samples=(3, "all"))


def with_novel(clients: int = 6, novel: int = 2) -> TinySetup:
    base = tiny_setup(clients=clients).but(novel=novel, enroll=ENROLL)
    return replace(base, partition=make_partition("classes", {"classes": 2}, base.dataset, clients, 0, novel=novel))


def run(setup: TinySetup, method: str) -> RunResult:
    *_, result = simulate(setup.spec(method), setup.dataset, setup.partition, Options())
    assert isinstance(result, RunResult)
    return result


def enrolled(harness: Harness) -> list[dict]:
    return enroll(harness.method, harness.state, harness.places[0], harness.costs, harness.setup.partition, ENROLL)


@pytest.mark.parametrize("method", METHODS.names())
def test_every_method_serves_newcomers(method):
    result = run(with_novel(), method)
    assert result.status == "finished", result.reason
    rows = result.tables["novel"]
    if not METHODS.get(method).defines("enroll"):
        assert rows == [], "a method without a rule serves nobody"
        return
    assert [(r["client"], r["samples"]) for r in rows] == [(4, 3), (5, 3), (4, "all"), (5, "all")]
    assert all(r["train_samples"] <= 3 for r in rows if r["samples"] == 3)
    assert {row["client"] for row in result.clients} == {0, 1, 2, 3}, "newcomers do not count among training clients"


@pytest.mark.parametrize("method", METHODS.names())
def test_enrolling_changes_neither_state_nor_traffic(method):
    harness = Harness(method, with_novel())
    harness.round(0, 1)
    before, costs = [t.clone() for t in harness.tensors()], harness.costs.copy()
    rows = enrolled(harness)
    assert rows == enrolled(harness), "deterministic"
    assert all(torch.equal(a, b) for a, b in zip(before, harness.tensors(), strict=True))
    assert (harness.costs.bytes_down, harness.costs.local_steps) == (costs.bytes_down, costs.local_steps)


def test_pfedhn_fits_the_embedding_only_and_it_helps():
    harness = Harness("pfedhn", with_novel())
    for round in range(8):
        harness.round(round % 4)
    state, frozen = harness.state, checkpoint.dumps(harness.state)
    group = newcomers(harness.places[0], harness.setup.partition, None).group
    fed = Federation(group, harness.costs, "enroll", 60, progress=1.0)

    def loss(found) -> float:
        own = EvaluationSet.of(group.pool, group.members)
        return float(evaluate(fed.model, group.backend, as_served(found), own, fed.everyone).loss.mean())

    mean = state.phi["embedding"].mean(0).expand(2, -1)
    before = loss(generate(state.phi, mean, fed.model.shapes))
    assert loss(harness.method.enroll(fed, state, fed.everyone)) < before
    assert checkpoint.dumps(state) == frozen


def test_a_method_without_a_rule_enrolls_nobody(monkeypatch):
    cls = METHODS.get("fedavg")
    monkeypatch.setattr(cls, "enroll", Method.enroll)
    result = run(with_novel(), "fedavg")
    assert result.status == "finished" and result.tables["novel"] == [] and result.facts["enrolls"] is False


def register_enrolling(name, hook):
    """FedAvg with another rule for newcomers."""

    @register_method(name, paper="none")
    class Enrolling(Method):
        moment = "global"
        Config = LocalSgdConfig

        def init(self, fed):
            return State(server=fed.init_params())

        def round(self, fed, state, cohort):
            state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
            return state

        def global_params(self, fed, state):
            return state.server

        def enroll(self, fed, state, clients):
            return hook(self, fed, state, clients)


def test_a_method_that_takes_more_steps_than_newcomers_have_fails():
    def greedy(self, fed, state, clients):
        start = fed.send(state.server, clients)
        return fed.train(start, clients, self.config.sgd(), steps=fed.local_steps + 1).params

    register_enrolling("greedy", greedy)
    said = "enroll took 22 mini-batch gradients for 2 clients; the scenario's enroll.steps=10 allows 20"
    with pytest.raises(BudgetError, match=said):
        run(with_novel(), "greedy")


def test_a_newcomer_s_steps_are_those_of_the_scenario_and_counted_apart():
    seen = []

    def noting(self, fed, state, clients):
        seen.append((fed.phase, fed.local_steps, fed.clients, fed.progress))
        return fed.train(fed.send(state.server, clients), clients, self.config.sgd()).params

    register_enrolling("noting", noting)
    costs = run(with_novel(), "noting").facts["costs"]
    assert seen == [("enroll", 10, 2, 1.0)] * 2
    assert (costs["adapt_steps"], costs["local_steps"]) == (2 * 2 * 10, 12 * 20)


def always(net, params, x, aux):
    """The client's own most frequent class."""
    return torch.nn.functional.one_hot(aux["counts"].argmax(), 3).float().expand(len(x), 3)


def test_newcomers_are_served_as_the_method_predicts():
    def majority(self, fed, state, clients):
        return Served(fed.send(state.server, clients), always, {"counts": fed.class_counts[clients]})

    register_enrolling("majority", majority)
    setup = with_novel()
    rows = [row for row in run(setup, "majority").tables["novel"] if row["samples"] == "all"]
    labels, test_labels = setup.dataset.train_labels, setup.dataset.test_labels
    for row, own, test in zip(rows, setup.partition.train[4:], setup.partition.test[4:], strict=True):
        most = np.bincount(labels[own], minlength=3).argmax()
        assert row["test_correct"] == (test_labels[test] == most).sum()


def test_total_variation_to_the_nearest():
    shares = class_shares(np.array([0, 0, 1, 1]), (np.array([0, 1]), np.array([2]), np.array([0, 2])), 2)
    neighbours, distances = nearest(shares[2:], shares[:2])
    assert neighbours.tolist() == [0] and distances.tolist() == [0.5]
    assert nearest(shares, shares)[1].tolist() == [0, 0, 0]


def test_enrolling_needs_novel_clients():
    table = tiny_setup().scenario.model_dump() | {"enroll": {"steps": 5}}
    with pytest.raises(RequestError, match="nobody to enroll"):
        read_scenario(table, "here")
    with pytest.raises(RequestError, match="samples"):
        read_scenario(table | {"novel": 1, "enroll": {"samples": [0]}}, "here")


def test_newcomers_see_what_their_group_sees():
    """Their samples are shifted as those of training clients are, in all splits, and their distance is of new names."""
    specs = (ShiftSpec(rule="inversion"), ShiftSpec(rule="permutation"))
    setup = with_novel(8, 4).but(shift=specs)
    setup = replace(setup, partition=with_shifts(specs, setup.dataset, setup.partition, 0))
    harness = Harness("fedavg_ft", setup)
    place = newcomers(harness.places[0], setup.partition, None)
    groups = setup.partition.groups[0][4:]
    assert sorted(groups.tolist()) == [0, 0, 1, 1]
    for client, group in enumerate(groups):
        own = setup.partition.test[4 + client]
        seen = place.test.pool.inputs[own].numpy()
        assert (seen == (255 - setup.dataset.test_inputs[own] if group else setup.dataset.test_inputs[own])).all()
        held = place.group.members[client]
        assert (place.group.pool.host_labels[held] != setup.dataset.train_labels[held]).all() == bool(group)
    rows = enrolled(harness)
    assert {row["client"] for row in rows} == {4, 5, 6, 7}


@pytest.mark.parametrize("method", ["apfl", "pfedme"])
def test_an_allowance_that_is_too_small_for_a_newcomer_costs_no_training(method):
    setup = with_novel().but(enroll=EnrollSpec(steps=1, samples=(3,)))
    result = run(setup, method)
    assert result.status == "finished" and result.clients and result.tables["novel"] == []
    assert result.reason.startswith(
        "novel clients are not enrolled in 1 steps (enroll.steps): local_steps=1 is too few"
    )
