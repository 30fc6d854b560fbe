"""Novel clients: left out of training, enrolled after it."""

import numpy as np
import pytest
import torch

from pfl_bench.data.partition import make_partition
from pfl_bench.engine import checkpoint
from pfl_bench.engine.enrollment import class_shares, enroll, nearest
from pfl_bench.engine.events import RunResult
from pfl_bench.engine.method import Method
from pfl_bench.engine.places import build_places, newcomers
from pfl_bench.engine.simulator import simulate
from pfl_bench.errors import RequestError
from pfl_bench.registry import METHODS
from pfl_bench.spec.options import Options
from pfl_bench.spec.scenario import EnrollSpec, read_scenario
from pfl_bench.testing.kit import Arena, tensors_of, tiny_arena

CPU = torch.device("cpu")
ENROLL = EnrollSpec(steps=10, samples=(3, "all"))


def arena(clients: int = 6, novel: int = 2) -> Arena:
    base = tiny_arena(clients=clients)
    partition = make_partition("classes", {"classes": 2}, base.dataset, clients, 0, novel=novel)
    scenario = base.scenario.model_copy(update={"novel": novel, "enroll": ENROLL})
    return Arena(scenario, base.dataset, partition)


def run(place: Arena, method: str) -> RunResult:
    *_, result = simulate(place.spec(method), place.dataset, place.partition, Options())
    assert isinstance(result, RunResult)
    return result


@pytest.mark.parametrize("method", METHODS.names())
def test_every_method_serves_newcomers(method):
    result = run(arena(), method)
    assert result.status == "finished", result.reason
    rows = result.tables["novel"]
    assert [(r["client"], r["samples"]) for r in rows] == [(4, 3), (5, 3), (4, "all"), (5, "all")]
    assert all(r["train_samples"] <= 3 for r in rows if r["samples"] == 3)
    assert {row["client"] for row in result.clients} == {0, 1, 2, 3}, "newcomers do not count among training clients"


@pytest.mark.parametrize("method", METHODS.names())
def test_enrolling_changes_neither_state_nor_traffic(method):
    place = arena()
    spec = place.spec(method)
    home = build_places(spec, place.dataset, place.partition, CPU)[0]
    entrant: Method = METHODS.get(method)(spec.config)
    state = entrant.round(home.fed, entrant.init(home.fed), torch.arange(2))
    before, traffic = [t.clone() for t in tensors_of(state)], home.fed.costs.bytes_down
    rows = enroll(entrant, state, home, place.partition, ENROLL)
    assert rows == enroll(entrant, state, home, place.partition, ENROLL), "deterministic"
    assert all(torch.equal(a, b) for a, b in zip(before, tensors_of(state), strict=True))
    assert home.fed.costs.bytes_down == traffic


def test_pfedhn_fits_the_embedding_only_and_it_helps():
    place = arena()
    spec = place.spec("pfedhn")
    home = build_places(spec, place.dataset, place.partition, CPU)[0]
    entrant = METHODS.get("pfedhn")(spec.config)
    state = entrant.init(home.fed)
    for round in range(8):
        state = entrant.round(home.fed.at(round, 0, "train", home.fed.costs), state, torch.tensor([round % 4]))
    frozen = checkpoint.dumps(state)
    new = newcomers(home, place.partition, None, 60)
    fed = new.fed.at(0, 1.0, "enroll", home.fed.costs)

    def loss(params) -> float:
        from pfl_bench.engine.evaluation import EvaluationSet, evaluate

        own = EvaluationSet.of(fed.pool, fed.members)
        return float(evaluate(fed.model, fed.backend, params, own, fed.everyone).loss.mean())

    from pfl_bench.methods._hypernetwork import generate

    mean = state.phi["embedding"].mean(0).expand(2, -1)
    before = loss(generate(state.phi, mean, fed.model.shapes))
    assert loss(entrant.enroll(fed, state, fed.everyone)) < before
    assert checkpoint.dumps(state) == frozen


def test_a_method_without_a_rule_enrolls_nobody(monkeypatch):
    cls = METHODS.get("fedavg")
    monkeypatch.setattr(cls, "enroll", Method.enroll)
    result = run(arena(), "fedavg")
    assert result.status == "finished" and result.tables["novel"] == [] and result.facts["enrolls"] is False


def test_samples_are_nested_and_labelled_ones_of_the_client():
    place = arena()
    home = build_places(place.spec("fedavg"), place.dataset, place.partition, CPU)[0]
    few, more, all_ = (newcomers(home, place.partition, n, 5).fed.members for n in (2, 5, None))
    for a, b, c, own in zip(few, more, all_, place.partition.train[4:], strict=True):
        assert set(a) < set(b) < set(c) == set(own)


def test_total_variation_to_the_nearest():
    shares = class_shares(np.array([0, 0, 1, 1]), (np.array([0, 1]), np.array([2]), np.array([0, 2])), 2)
    neighbours, distances = nearest(shares[2:], shares[:2])
    assert neighbours.tolist() == [0] and distances.tolist() == [0.5]
    assert nearest(shares, shares)[1].tolist() == [0, 0, 0]


def test_enrolling_needs_novel_clients():
    table = tiny_arena().scenario.model_dump() | {"enroll": {"steps": 5}}
    with pytest.raises(RequestError, match="nobody to enroll"):
        read_scenario(table, "here")
    with pytest.raises(RequestError, match="samples"):
        read_scenario(table | {"novel": 1, "enroll": {"samples": [0]}}, "here")
