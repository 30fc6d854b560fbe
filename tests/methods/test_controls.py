"""FedAvg-like baselines and controls: each is what its paper says, by an identity or by hand."""

import torch
import torch.nn.functional as F
from pfl_bench.methods import moon

from pfl_bench.api import Sgd
from pfl_bench.client.batches import Batch
from tests.methods.rounds import PLAIN, after, by_hand, close, differ, down, mean, row, same, slopes


def test_scaffold_without_control_variates_is_fedavg_with_equal_weights():
    found, other = after("scaffold", rounds=0, lr=0.1), after("scaffold", rounds=0, lr=0.1)
    cohort = other.clients(0, 3, 4)
    expected = other.fed.train_and_average(other.server, cohort, Sgd(0.1), weights="uniform")
    found.round(0, 3, 4)
    same(found.server, expected)


def test_scaffold_by_hand():
    """One full-batch step per visit: c_i is the gradient at the model that the client last received."""
    harness, lr = by_hand("scaffold", lr=0.1, server_lr=0.5), 0.1
    w = harness.server
    g = {client: slopes(harness, client, w) for client in (0, 1)}
    harness.round(0, 1)
    w = {k: t - 0.5 * lr * mean(list(g.values()))[k] for k, t in w.items()}
    close(harness.server, w)
    close(
        harness.state.own.rows(harness.clients(0, 1, 2)),
        {k: torch.stack([g[0][k], g[1][k], 0 * t]) for k, t in w.items()},
    )
    c = {k: (g[0][k] + g[1][k]) / 6 for k in w}
    close(harness.state.c, c)
    now = slopes(harness, 0, w)
    harness.round(0)
    close(harness.server, {k: t - 0.5 * lr * (now[k] - g[0][k] + c[k]) for k, t in w.items()})
    close(row(harness.state.own.rows(harness.clients(0)), 0), now)


def test_scaffolds_server_variate_is_the_mean_of_the_clients():
    harness = after("scaffold", lr=0.1)
    close(harness.state.c, harness.state.own.rows(harness.clients()).map(lambda t: t.mean(0)))


def test_feddyn_by_hand():
    """Visits of two steps: in the first of them the quadratic term has no slope, at a client's first visit nor h_i."""
    harness, lr, alpha = by_hand("feddyn", local_steps=2, lr=0.1, alpha=0.1, **PLAIN), 0.1, 0.1

    def visit(client, w, h):
        theta = dict(w)
        for _ in range(2):
            g = slopes(harness, client, theta)
            theta = {k: t - lr * (g[k] - h[k] + alpha * (t - w[k])) for k, t in theta.items()}
        return theta

    w = harness.server
    nothing = {k: torch.zeros_like(t) for k, t in w.items()}
    theta = {client: visit(client, w, nothing) for client in (0, 1)}
    harness.round(0, 1)
    own = {client: {k: -alpha * (t[k] - w[k]) for k in w} for client, t in theta.items()}
    h = {k: (own[0][k] + own[1][k]) / 6 for k in w}
    w = {k: t - h[k] / alpha for k, t in mean(list(theta.values())).items()}
    close(row(harness.state.own.rows(harness.clients(1)), 0), own[1])
    close(harness.state.h, h)
    close(harness.server, w)
    end = visit(1, w, own[1])
    harness.round(1)
    close(row(harness.state.own.rows(harness.clients(1)), 0), {k: own[1][k] - alpha * (end[k] - w[k]) for k in w})


def test_feddyns_server_term_is_the_mean_of_the_clients():
    harness = after("feddyn", alpha=0.1)
    close(harness.state.h, harness.state.own.rows(harness.clients()).map(lambda t: t.mean(0)))


def test_feddyn_with_a_vanishing_alpha_oversteps_fedavg():
    """The regulariser vanishes from training but not from the server: w <- mean + cohort / clients (mean - w)."""
    harness = after("feddyn", rounds=0, alpha=1e-9)
    w, cohort = harness.server, harness.clients(0, 1, 2)
    average = after("fedavg", rounds=0).fed.train_and_average(w, cohort, harness.method.config.sgd(), weights="uniform")
    harness.round(0, 1, 2)
    close(harness.server, {k: m + 0.5 * (m - w[k]) for k, m in average.items()})


def test_moon_without_mu_is_fedavg():
    same(after("moon", mu=0.0).server, after("fedavg").server)
    differ(after("moon", mu=10.0, lr=0.1).server, after("fedavg", lr=0.1).server)


def test_moons_contrast_by_hand():
    harness = after("moon", rounds=0)
    loss = moon.ModelContrastive
    torch.manual_seed(0)
    w, near, far = ({k: torch.randn_like(t) / 8 for k, t in harness.server.items()} for _ in range(3))
    net, (x, y) = harness.fed.model.evaluating(), harness.samples(0)
    z, to, away = (net.features(p, x) for p in (w, near, far))

    def pull(other):
        return ((z * other).sum(1) / z.norm(dim=1) / other.norm(dim=1) / 0.5).exp()

    expected = F.cross_entropy(net(w, x), y) - 2.0 * (pull(to) / (pull(to) + pull(away))).log().mean()
    found = loss(mu=2.0, tau=0.5)(net, w, Batch(x, y, torch.ones(len(y))), (near, far))
    torch.testing.assert_close(found, expected)


def test_moons_previous_model_is_that_of_the_last_visit():
    harness, lr = by_hand("moon", lr=0.1, mu=5.0, **PLAIN), 0.1
    w = harness.server
    harness.round(0)  # server's and previous model are the same: the contrast has no slope
    close(row(harness.state.previous.rows(harness.clients(0)), 0), down(w, slopes(harness, 0, w), lr))
    same(row(harness.state.previous.rows(harness.clients(1)), 0), w)
