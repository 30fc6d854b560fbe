"""The global score: every client's own model on everybody's test data."""

import numpy as np
import pytest
import torch

from pfl_bench.client.requests import Served
from pfl_bench.engine import union
from pfl_bench.engine.evaluation import Scores, evaluate
from pfl_bench.engine.union import class_weights, reweighted, union_sets, union_size
from pfl_bench.running.job import make_job
from pfl_bench.tallies import BY_CLASS
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.kit import EVERY_ROUND, finish
from pfl_bench.testing.setup import tiny_setup


def result_of(method, setup=None, **config):
    setup = setup or tiny_setup()
    return finish(make_job(setup.spec(method, **config), setup.partition, EVERY_ROUND), setup.dataset)[0]


def test_it_costs_four_evaluations_at_most():
    assert union_size([10, 30]) == 40, "all there is"
    assert union_size([200] * 50) == 800
    assert union_size([5000] * 10) == 1000
    assert union_size([1] * 1000) == 4


@pytest.mark.parametrize("backend", ["loop", "vmap"])
def test_a_clients_samples_are_its_own_and_the_same_for_all_methods(monkeypatch, backend):
    monkeypatch.setattr(union, "MOST", 7)
    places = Harness("fedper").places
    (data,) = union_sets(places, seed=3)
    assert data.indices.shape == (places[0].group.population, 7) and bool(data.real.all())
    everybody = places[0].test.indices[places[0].test.real].unique()
    assert all(len(own.unique()) == 7 and torch.isin(own, everybody).all() for own in data.indices)
    assert torch.equal(data.indices, union_sets(Harness("local").places, seed=3)[0].indices)
    assert not torch.equal(data.indices, union_sets(places, seed=4)[0].indices)
    assert len({tuple(own.tolist()) for own in data.indices}) > 1


def test_the_figures_are_those_of_the_last_models(monkeypatch):
    """By hand: the clients' models at the end of the run, on every test sample of every client."""
    monkeypatch.setattr(union, "TIMES", 100)
    setup = tiny_setup()
    result = result_of("fedper", setup, cohort=4)
    harness = Harness("fedper", setup, rounds=3, cohort=4)
    (place,) = harness.places
    params, test = harness.served("received").params, place.test
    everybody = test.indices[test.real]
    accuracies, personal = [], []
    for client, counts in enumerate(place.group.class_counts):
        x, y = place.test.pool.gather(everybody)
        net = harness.group.model.evaluating(torch.ones(len(y)))
        right = (net({name: tensor[client] for name, tensor in params.items()}, x).argmax(-1) == y).double()
        accuracies.append(100 * right.mean())
        share = torch.bincount(y, minlength=3) / len(y)
        weight = (counts / counts.sum() / share)[y]
        personal.append(100 * (weight * right).sum() / weight.sum())
    last = result.summary["received"]["last"]
    assert last["union_accuracy"] == pytest.approx(float(np.mean(accuracies)))
    assert last["reweighted_accuracy"] == pytest.approx(float(np.mean(personal)), rel=1e-5)
    assert last["union_samples"] == len(everybody) * len(accuracies)
    rows = result.tables["union"]
    assert [row["union_accuracy"] for row in rows] == pytest.approx([float(a) for a in accuracies])
    assert "union_accuracy" not in result.summary["received"]["best"]


def always_first(net, params, x, aux):
    return torch.nn.functional.one_hot(aux.expand(len(x)), 3).float()


def test_a_prediction_of_its_own_is_used():
    """``Served.predict`` with what it carries per client: who always answers one class is right on its share."""
    harness = Harness("fedper")
    (place,), (data,) = harness.places, union_sets(harness.places, 0)
    clients = harness.clients()
    answers = clients % 3
    served = Served(harness.received, always_first, answers)
    scores = evaluate(harness.group.model, harness.group.backend, served, data, clients)
    labels = place.test.pool.gather(data.indices)[1]
    expected = ((labels == answers[:, None]) & data.real).sum(1)
    assert scores.correct.tolist() == expected.tolist()


@pytest.mark.parametrize("method", ["fedavg", "fedavg_ft", "knn_per", "pfedhn"])
def test_every_moment_has_it_and_costs_stay_as_they_are(method, monkeypatch):
    result = result_of(method)
    moment = result.facts["official_moment"]
    assert 0 <= result.summary[moment]["last"]["union_accuracy"] <= 100
    monkeypatch.setattr("pfl_bench.engine.simulator.union_sets", lambda places, seed: ())
    without = result_of(method)
    times = ("train_seconds", "eval_seconds")
    assert {k: v for k, v in without.facts["costs"].items() if k not in times} == {
        k: v for k, v in result.facts["costs"].items() if k not in times
    }
    assert without.clients == result.clients and "union" not in without.tables


def test_reweighting_by_hand():
    """Two classes, three to one in the union; the client's classes are one to one."""
    scores = Scores(np.array([2]), np.array([4]), np.zeros(1), {BY_CLASS.key: np.array([[[3, 1], [2, 2], [1, 1]]])})
    found = reweighted(scores, np.array([[0.5 / 0.75, 0.5 / 0.25]]))
    assert found == pytest.approx([100 * (1 / 3 + 1) / 2])
    assert np.isnan(reweighted(scores, np.zeros((1, 2)))), "none of its classes is among its samples"


def test_several_client_models_share_one_union(monkeypatch):
    monkeypatch.setattr(union, "TIMES", 100)
    setup = tiny_setup(model=("mlp", "mlp"))
    places = Harness("local", setup).places
    sets = union_sets(places, 0)
    assert len(sets) == 2 and {data.indices.shape[1] for data in sets} == {sum(int(p.test.real.sum()) for p in places)}
    assert class_weights(places).shape == (setup.scenario.clients, 3)
    assert len(result_of("local", setup).tables["union"]) == setup.scenario.clients
