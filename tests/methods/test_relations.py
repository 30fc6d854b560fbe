"""Methods that relate clients to each other: each is what its paper says, by an identity or by hand."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pfl_bench.methods import fedamp, fedfomo

from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import tiny_setup
from tests.methods.rounds import close_or_same, row


def test_fedfomo_weights_and_mixture_by_hand():
    """Loss difference over distance, on the held-out fifth of two clients' training samples, model by model."""
    harness = Harness("fedfomo", lr=0.02)
    harness.round(0, 2, 3, 5)
    fed, method, clients = harness.fed, harness.method, harness.clients(1, 4)
    own, offered = harness.state.models.rows(clients), torch.tensor([[0, 2, 3], [5, 2, 0]])
    start, weights = method.mixed(fed, harness.state, own, clients, offered)
    judging, net = harness.group.part(0.2)[1].members, harness.group.model.evaluating()
    for position, client in enumerate((1, 4)):
        x, y = harness.group.pool.gather(torch.from_numpy(judging[client]))
        mine = row(own, position)
        expected = {name: tensor.clone() for name, tensor in mine.items()}
        by_hand = []
        for other in offered[position]:
            theirs = row(harness.state.models.rows(other.view(1)), 0)
            gain = F.cross_entropy(net(mine, x), y) - F.cross_entropy(net(theirs, x), y)
            by_hand.append(float(gain) / math.sqrt(sum(float((theirs[n] - mine[n]).square().sum()) for n in mine)))
        torch.testing.assert_close(weights[position], torch.tensor(by_hand), rtol=1e-3, atol=1e-5)
        total = sum(max(w, 0.0) for w in by_hand)
        for w, other in zip(by_hand, offered[position], strict=True):
            theirs = row(harness.state.models.rows(other.view(1)), 0)
            for name in expected:
                expected[name] += max(w, 0.0) / max(total, 1e-12) * (theirs[name] - mine[name])
        close_or_same(row(start, position), expected, exact=False)
    assert (weights > 0).any() and (weights < 0).any(), "the example shows both cases"
    alike = method.mixed(fed, harness.state, own, clients, torch.tensor([[4], [1]]))
    assert not alike[1].any(), "two initial models have no distance"
    close_or_same(alike[0], own)


def test_fedfomo_never_trains_on_the_samples_that_judge():
    """With other judging samples but the same offers the first visit, which takes from nobody, ends the same."""
    harness = Harness("fedfomo")
    rest, held = harness.group.part(0.2)
    for own, kept, judging in zip(harness.group.members, rest.members, held.members, strict=True):
        assert sorted([*kept, *judging]) == sorted(own) and not set(kept) & set(judging)
    cohort = harness.clients(0, 1)
    start = harness.fed.send(harness.fed.init_params(), cohort)
    trained = harness.fed.part(0.2)[0].train(start, cohort, harness.method.config.sgd()).params
    harness.round(0, 1)
    close_or_same(harness.state.models.rows(cohort), trained)
    assert harness.costs.forward_samples == 6 * sum(len(held.members[client]) for client in (0, 1)), "own and 5 others"


def test_fedfomo_offers_the_best_or_any():
    offer, scores = fedfomo.best_or_any, np.array([0.0, 3.0, -1.0, 2.0, 0.5])
    rng = np.random.default_rng(0)
    assert offer(rng, scores, [0, 2, 3, 4], 3, 0.0) == [3, 4, 0]
    assert sorted(offer(rng, scores, [0, 2, 3, 4], 9, 1.0)) == [0, 2, 3, 4]
    assert {offer(rng, scores, [0, 2, 3, 4], 1, 1.0)[0] for _ in range(50)} == {0, 2, 3, 4}
    assert {offer(rng, np.zeros(5), [1, 2], 1, 0.0)[0] for _ in range(50)} == {1, 2}, "ties are broken at random"


def test_fedamp_attention_by_hand():
    """xi_ij = alpha / sigma exp(-d2 / sigma), the rest of 1 for oneself; too much of it is scaled to 1."""
    models = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    xi = fedamp.attention(models, torch.tensor([2, 0]), alpha=2.0, sigma=10.0)
    to_0, to_1 = 0.2 * math.exp(-0.1), 0.2 * math.exp(-(9 + 9) / 10)
    torch.testing.assert_close(xi[0], torch.tensor([to_0, to_1, 1 - to_0 - to_1]))
    far = 0.2 * math.exp(-2.5)
    torch.testing.assert_close(xi[1], torch.tensor([1 - far - to_0, far, to_0]))
    strong = fedamp.attention(models, torch.tensor([0]), alpha=100.0, sigma=10.0)[0]
    assert strong[0] == pytest.approx(0, abs=1e-6) and strong.sum() == pytest.approx(1)
    assert float(strong[2] / strong[1]) == pytest.approx(math.exp(2.4), rel=1e-4)


def test_fedamp_without_attention_and_pull_is_local():
    amp, local = Harness("fedamp", cohort=5, sigma=1e-4, lam=0.0), Harness("local")
    for cohort in ((0, 1, 2, 3, 4, 5), (0, 2, 4), (1, 2, 5)):
        amp.round(*cohort)
        local.round(*cohort)
    close_or_same(amp.received, local.received, exact=False)


def test_fedamp_pulls_towards_what_was_sent():
    """F + lam / (2 alpha) |w - u|^2 by hand for two plain steps; u is what attention makes of the last models."""
    figures = {"cohort": 6, "alpha": 2.0, "sigma": 20.0, "momentum": 0.0, "weight_decay": 0.0, "clip_norm": None}
    harness = Harness("fedamp", tiny_setup().but(local_steps=2, batch_size=1000), lam=3.0, lr=0.05, rounds=2, **figures)
    models, net = harness.received, harness.group.model.evaluating()
    flat = torch.cat([t.flatten(1) for t in models.values()], 1)
    xi = fedamp.attention(flat, torch.tensor([1]), 2.0, 20.0)[0]
    u = {name: torch.tensordot(xi, t, dims=1) for name, t in models.items()}
    w, (x, y) = dict(u), harness.samples(1)
    for _ in range(2):
        slope = torch.func.grad(lambda at: F.cross_entropy(net(at, x), y))(w)
        w = {n: t - 0.05 * (slope[n] + 3.0 / 2.0 * (t - u[n])) for n, t in w.items()}
    harness.round(1)
    close_or_same(row(harness.received, 1), w, exact=False)


def test_ifca_with_one_cluster_is_fedavg():
    ifca, fedavg = Harness("ifca", rounds=4, clusters=1, weights="samples"), Harness("fedavg", rounds=4)
    close_or_same(row(ifca.state.models, 0), fedavg.server)


def test_ifca_trains_the_model_of_least_loss_and_averages_within_clusters():
    harness = Harness("ifca", clusters=3, lr=0.1)
    before, net = harness.state.models.map(torch.clone), harness.group.model.evaluating()
    fed, cohort = harness.fed, harness.clients(0, 1, 2, 4)
    losses = torch.stack([
        torch.stack([F.cross_entropy(net(row(before, k), x), y) for k in range(3)])
        for x, y in (harness.samples(client) for client in (0, 1, 2, 4))
    ])  # fmt: skip
    choice = losses.argmin(1)
    trained = fed.train(before.rows(choice), cohort, harness.method.config.sgd()).params
    harness.round(0, 1, 2, 4)
    for k in range(3):
        mine = choice == k
        expected = trained.rows(mine).map(lambda t: t.mean(0)) if mine.any() else row(before, k)
        close_or_same(row(harness.state.models, k), expected, exact=False)
    assert len(choice.unique()) > 1, "the example has clusters"


def test_ifca_counts_a_forward_pass_per_model_and_sends_them_all():
    harness = Harness("ifca", clusters=3)
    harness.round(0, 1, 5)
    assert harness.costs.forward_samples == 3 * sum(len(harness.group.members[client]) for client in (0, 1, 5))
    size = 4 * harness.group.model.size
    assert (harness.costs.bytes_down, harness.costs.bytes_up) == (3 * 3 * size, 3 * size)
    _ = harness.received
    assert harness.costs.adapt_forward_samples == 3 * sum(map(len, harness.group.members))
