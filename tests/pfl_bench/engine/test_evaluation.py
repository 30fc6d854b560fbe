"""Scores: of every client on its own samples, whoever else is scored."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pfl_bench.client.backends import BACKENDS
from pfl_bench.client.params import Params
from pfl_bench.client.requests import Served
from pfl_bench.engine import evaluation
from pfl_bench.engine.evaluation import EvaluationSet, Scores, as_served, evaluate
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import ragged_setup

BACKEND = pytest.mark.parametrize("backend", BACKENDS)


@pytest.fixture
def harness():
    return Harness("local", ragged_setup(), rounds=1)


def own_samples(harness) -> EvaluationSet:
    """Each client's training samples: 1, 20, 3 and 48 of them."""
    return EvaluationSet.of(harness.group.pool, harness.group.members)


def scored(harness, backend, served, *clients: int) -> Scores:
    served = as_served(served)
    ids = harness.clients(*clients)
    return evaluate(harness.fed.model, BACKENDS[backend], served, own_samples(harness), ids)


@BACKEND
def test_scores_are_those_by_hand(harness, backend):
    params = harness.received
    found = scored(harness, backend, params)
    assert found.total.tolist() == [1, 20, 3, 48]
    for client in range(4):
        x, y = harness.samples(client)
        logits = harness.fed.model.evaluating()({name: tensor[client] for name, tensor in params.items()}, x)
        assert found.correct[client] == (logits.argmax(1) == y).sum()
        assert found.loss[client] == pytest.approx(F.cross_entropy(logits, y).item(), rel=1e-4)


@BACKEND
@pytest.mark.parametrize("images", [1, 100, 8192])
def test_a_client_s_figures_do_not_depend_on_who_else_is_scored(harness, backend, images, monkeypatch):
    params = harness.received
    together = scored(harness, backend, params)
    monkeypatch.setattr(evaluation, "CHUNK_IMAGES", images)
    some = scored(harness, backend, params.rows(torch.tensor([2, 0])), 2, 0)
    assert some.correct.tolist() == together.correct[[2, 0]].tolist()
    assert some.loss == pytest.approx(together.loss[[2, 0]], rel=1e-5)
    assert scored(harness, backend, params).loss == pytest.approx(together.loss, rel=1e-5)


def always(net, params, x, aux):
    """A class of the client's own, whatever the picture shows."""
    return F.one_hot(aux["label"], 3).float().expand(len(x), 3)


@BACKEND
def test_a_prediction_of_its_own_is_used(harness, backend):
    labels = torch.tensor([0, 1, 2, 2])
    found = scored(harness, backend, Served(harness.received, always, {"label": labels}))
    assert found.correct.tolist() == [int((harness.samples(c)[1] == labels[c]).sum()) for c in range(4)]


def halved(net, params, x, aux):
    return net(params, x)[:, :2]


@BACKEND
def test_predictions_of_another_shape_are_refused(harness, backend):
    with pytest.raises(ValueError, match=r"predict=halved gave shape \(48, 2\) for 48 samples .* must be \(48, 3\)"):
        scored(harness, backend, Served(harness.received, halved))


def test_a_prediction_must_be_a_value():
    with pytest.raises(TypeError, match="predict=.* must be a frozen dataclass"):
        as_served(Served({}, lambda net, params, x, aux: net(params, x)))
    assert as_served(Served({}, always)).predict is always
    plain = as_served(Params({"w": torch.ones(1)}))
    assert isinstance(plain, Served) and plain.predict is None and list(plain.params) == ["w"]


def test_summary_by_hand():
    scores = Scores(np.array([1, 8, 5]), np.array([10, 10, 5]), np.array([3.0, 1.0, 0.5]))
    assert scores.accuracies.tolist() == [10, 80, 100]
    assert scores.summary() == {
        "accuracy": pytest.approx(100 * 14 / 25),
        "client_mean": pytest.approx(190 / 3),
        "client_std": pytest.approx(np.std([10, 80, 100])),
        "worst_decile": 10,
        "client_min": 10,
        "loss": pytest.approx(1.5),
        "log_loss": pytest.approx(42.5 / 25),
    }


def test_the_worst_decile_is_a_tenth_of_the_clients_rounded_up():
    correct = np.arange(21)[::-1]
    scores = Scores(correct, np.full(21, 100), np.zeros(21))
    assert scores.summary()["worst_decile"] == 1, "of 0, 1 and 2"


def test_groups_are_joined_in_order():
    a, b = (Scores(np.array(c), np.array(c) + 1, np.array(c) / 2) for c in ([0, 2], [1, 3]))
    joined = Scores.joined([a, b], np.argsort([0, 2, 1, 3]))
    assert joined.correct.tolist() == [0, 1, 2, 3] and joined.total.tolist() == [1, 2, 3, 4]


def test_padding_of_a_split_is_marked():
    harness = Harness("local", ragged_setup())
    data = own_samples(harness)
    assert data.indices.shape == data.real.shape == (4, 48)
    assert data.real.sum(1).tolist() == [1, 20, 3, 48]
