"""Prototypes and features: each is what its paper says, by an identity or by hand."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pfl_bench.methods import fedpac, fedproto
from torch import Tensor

from pfl_bench.api import Served, Sgd
from pfl_bench.testing.harness import Harness
from tests.methods.rounds import class_sums, close_or_same, features, row


def knn_predictions(harness: Harness, client: int, x: Tensor) -> Tensor:
    served = harness.method.adapt(harness.federation("adapt"), harness.state, harness.clients())
    assert isinstance(served, Served) and served.predict is not None
    net = harness.group.model.evaluating()
    return served.predict(net, row(served.params, client), x, row(served.aux, client))


def test_knn_per_without_neighbours_is_fedavg():
    knn, fedavg = Harness("knn_per", rounds=3, lam=0.0), Harness("fedavg", rounds=3)
    close_or_same(knn.server, fedavg.server)
    x, _ = knn.samples(0)
    logits = fedavg.group.model.evaluating()(fedavg.server, x)
    assert torch.equal(knn_predictions(knn, 3, x), F.log_softmax(logits, 1))


def test_knn_per_with_neighbours_alone_is_a_weighted_vote():
    """p(c | x) by hand: the 4 least squared distances to the client's own features, exp(-d2 / (d scale))."""
    harness = Harness("knn_per", rounds=3, lam=1.0, k=4, scale=0.1)
    queries = harness.samples(0)[0][:7]
    stored, labels = features(harness, harness.server, 2)
    z = harness.group.model.evaluating().features(harness.server, queries)
    found = knn_predictions(harness, 2, queries).exp()
    for query, predicted in zip(z, found, strict=True):
        apart = [(float(((query - other) ** 2).sum()), int(label)) for other, label in zip(stored, labels, strict=True)]
        votes = [0.0] * 3
        for distance, label in sorted(apart)[:4]:
            votes[label] += math.exp(-distance / (len(query) * 0.1))
        by_hand = torch.tensor([vote / sum(votes) for vote in votes])
        torch.testing.assert_close(predicted, by_hand, rtol=1e-4, atol=1e-6)


def test_knn_per_mixes_probabilities():
    figures = {"k": 4, "scale": 0.1}
    x = Harness("fedavg").samples(0)[0]
    model, both, knn = (knn_predictions(Harness("knn_per", rounds=3, lam=lam, **figures), 2, x) for lam in (0, 0.3, 1))
    torch.testing.assert_close(both.exp(), 0.7 * model.exp() + 0.3 * knn.exp(), rtol=1e-4, atol=1e-6)


def objective(h: Tensor, variance: Tensor, own: int, a: Tensor) -> float:
    """a^T (diag V + D) a as the paper writes it, term by term."""
    total = 0.0
    for j, k in itertools.product(range(len(h)), repeat=2):
        bias = ((h[own] - h[j]) * (h[own] - h[k])).sum()
        total += float(a[j] * a[k] * (bias + (variance[j] if j == k else 0.0)))
    return total


def test_fedpac_weights_solve_the_quadratic_programme():
    """Against every point of a grid on the simplex, for a solution inside it and for one on its border."""
    for seed, noise in ((0, 2.0), (1, 0.2)):
        rng = np.random.default_rng(seed)
        h, variance = torch.from_numpy(rng.normal(size=(3, 2, 2))), torch.from_numpy(noise * rng.uniform(size=3))
        weights = fedpac.head_weights(h, variance)
        ticks = np.linspace(0, 1, 51)
        grid = [torch.tensor([a, b, 1 - a - b]) for a, b in itertools.product(ticks, ticks) if a + b <= 1]
        for own, a in enumerate(weights):
            assert a.sum() == pytest.approx(1) and (a >= 0).all()
            best = min(grid, key=lambda point: objective(h, variance, own, point))
            assert objective(h, variance, own, a) <= objective(h, variance, own, best) + 1e-9
            assert (a - best).abs().max() < 0.03


def test_fedpac_weights_of_two_clients_by_hand():
    """V = (1, 1) and |h_1 - h_2|^2 = 3: a_1 is proportional to (1 / 1, 1 / (1 + 3))."""
    h = torch.tensor([[[0.0, 0.0]], [[3.0**0.5, 0.0]]])
    weights = fedpac.head_weights(h, torch.ones(2))
    torch.testing.assert_close(weights, torch.tensor([[0.8, 0.2], [0.2, 0.8]]))
    alike = fedpac.head_weights(torch.zeros(2, 1, 2), torch.zeros(2))
    torch.testing.assert_close(alike, torch.full((2, 2), 0.5))


def test_fedpac_statistics_by_hand():
    """h = p_c mu_c; V = (sum_c p_c tr E[z z^T | c] - sum_c p_c^2 |mu_c|^2) / n."""
    harness = Harness("fedpac", rounds=1)
    params = harness.received
    h, variance = harness.method.statistics(harness.fed, params, harness.clients())
    for client in range(6):
        z, y = features(harness, row(params, client), client)
        second, own = 0.0, []
        for label in range(3):
            mine = z[y == label]
            share, mean = len(mine) / len(z), mine.mean(0) if len(mine) else torch.zeros(z.shape[1])
            own.append(share * mean)
            second += share * float((mine**2).sum(1).mean()) if len(mine) else 0.0
        by_hand = (second - float(torch.stack(own).square().sum())) / len(z)
        torch.testing.assert_close(h[client], torch.stack(own), rtol=1e-4, atol=1e-5)
        assert float(variance[client]) == pytest.approx(by_hand, rel=1e-3)


def test_fedpac_without_lambda_is_head_then_body():
    """Four of twenty steps on the head, sixteen on the body, both with plain cross-entropy; bodies averaged."""
    harness = Harness("fedpac", lam=0.0)
    fed, cohort, sgd = harness.fed, harness.clients(0, 1, 3), harness.method.config.sgd()
    start, head = fed.send(fed.init_params(), cohort), fed.model.head
    mid = fed.train(start, cohort, Sgd(0.1, 0.9, 5e-5, 50.0), steps=4, trainable=head, stream="head").params
    close_or_same(mid.without(head), start.without(head))
    end = fed.train(mid, cohort, sgd, steps=16, trainable=fed.model.body).params
    harness.round(0, 1, 3)
    close_or_same(harness.state.body, fed.average(end.without(head), cohort), exact=False)
    inside = row(harness.received, 0)
    for name in head:
        assert inside[name].max() <= end[name].amax() and inside[name].min() >= end[name].amin(), "a convex combination"


def test_fedproto_without_lambda_is_local():
    proto, local = Harness("fedproto", rounds=4, lam=0.0, predict="head"), Harness("local", rounds=4)
    close_or_same(proto.received, local.received, exact=False)
    pulled = Harness("fedproto", rounds=4, lam=10.0)
    assert any(not torch.allclose(pulled.received[n], t, atol=1e-4) for n, t in local.received.items())


def test_fedproto_prototypes_are_class_means_over_the_cohort_and_stay_where_it_has_none():
    harness = Harness("fedproto", rounds=2)
    before = harness.state.prototypes["mean"].clone()
    harness.round(0, 2)
    sums, counts = zip(*(class_sums(*features(harness, row(harness.received, i), i), 3) for i in (0, 2)), strict=True)
    total = sum(counts)
    for label in range(3):
        expected = sum(sums)[label] / total[label] if total[label] else before[label]
        torch.testing.assert_close(harness.state.prototypes["mean"][label], expected, rtol=1e-4, atol=1e-5)


def test_fedproto_counts_one_forward_pass_over_the_cohorts_samples():
    harness = Harness("fedproto")
    harness.round(0, 3, 5)
    assert harness.costs.forward_samples == sum(len(harness.group.members[client]) for client in (0, 3, 5))
    assert harness.costs.local_steps == 3 * 20


def test_fedproto_predicts_the_nearest_prototype():
    nearest = fedproto.nearest_prototype
    harness = Harness("fedproto", rounds=1)
    net, params = harness.group.model.evaluating(), harness.fed.init_params()
    z, _ = features(harness, params, 0)
    x, _ = harness.samples(0)
    mean = torch.stack([z[0], z[1], torch.zeros(z.shape[1])])
    logits = nearest(net, params, x, {"mean": mean, "known": torch.tensor([1.0, 1.0, 0.0])})
    torch.testing.assert_close(logits[:, 1], -(z - z[1]).square().sum(1), rtol=1e-4, atol=1e-4)
    assert logits[:2].argmax(1).tolist() == [0, 1] and not (logits.argmax(1) == 2).any()
    torch.testing.assert_close(nearest(net, params, x, {"mean": mean, "known": torch.zeros(3)}), net(params, x))
