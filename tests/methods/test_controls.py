"""FedAvg-like baselines and controls: each is what its paper says, by an identity or by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pfl_bench.methods import moon
from pfl_bench.methods.fednova import accumulated

from pfl_bench.api import Sgd, total_cross_entropy
from pfl_bench.client.batches import Batch
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.kit import altered
from pfl_bench.testing.setup import ragged_setup, tiny_setup
from tests.methods.rounds import (
    LOOP,
    PLAIN,
    after,
    by_hand,
    close,
    close_to_numpy,
    differ,
    down,
    in_numpy,
    mean,
    normed,
    numpy_slopes,
    row,
    same,
    slopes,
)


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


def test_scaffold_in_numpy():
    """Two rounds of three full-batch steps with partial participation: y - lr (g(y) - c_i + c), option II."""
    harness, lr, eta, steps = by_hand("scaffold", local_steps=3, lr=0.1, server_lr=0.7), 0.1, 0.7, 3
    w = in_numpy(harness.server)
    zero = {k: np.zeros_like(v) for k, v in w.items()}
    c, own = zero, [zero] * 6
    for cohort in ((0, 1, 2), (1, 4)):
        ys, news = [], []
        for i in cohort:
            y = dict(w)
            for _ in range(steps):
                g = numpy_slopes(harness, i, y)
                y = {k: y[k] - lr * (g[k] - own[i][k] + c[k]) for k in y}
            ys.append(y)
            news.append({k: own[i][k] - c[k] + (w[k] - y[k]) / (steps * lr) for k in y})
        w = {k: v + eta * np.mean([y[k] - v for y in ys], axis=0) for k, v in w.items()}
        c = {k: v + sum(new[k] - own[i][k] for i, new in zip(cohort, news, strict=True)) / 6 for k, v in c.items()}
        for i, new in zip(cohort, news, strict=True):
            own[i] = new
        harness.round(*cohort)
    close_to_numpy(harness.server, w)
    close_to_numpy(harness.state.c, c)


def test_scaffolds_server_variate_is_the_mean_of_the_clients():
    harness = after("scaffold", lr=0.1)
    own = harness.state.own.rows(harness.clients())
    close(harness.state.c, own.map(lambda t: t.mean(0)))
    corrections = {k: harness.state.c[k] - t for k, t in own.items()}
    close({k: t.sum(0) for k, t in corrections.items()}, {k: torch.zeros_like(t) for k, t in harness.state.c.items()})
    assert all(t.abs().max() > 1e-3 for t in corrections.values())


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


def test_moon_contrasts_the_servers_model_with_the_clients_own_last_one():
    """A second visit of one step: towards what was received, away from what the same client had after its first."""
    harness, lr = by_hand("moon", lr=0.1, mu=5.0, tau=0.5, **PLAIN), 0.1
    start = harness.server
    harness.round(0, 1)
    w, previous = harness.server, down(start, slopes(harness, 0, start), lr)

    def loss(net, params, batch):
        z = net.features(params, batch.x)
        to, away = (F.cosine_similarity(z, net.features(other, batch.x)) / 0.5 for other in (w, previous))
        return F.cross_entropy(net.head(params, z), batch.y) - 5.0 * (to.exp() / (to.exp() + away.exp())).log().mean()

    ends = [down(w, slopes(harness, 0, w, own), lr) for own in (loss, None)]
    harness.round(0)
    close(harness.server, ends[0])
    differ(*ends)


def recorded(name: str, **config):
    """A method's server after 0 to 3 rounds, and the clients' mean that each round made of it; as NumPy arrays."""
    harness, means, servers = after(name, rounds=0, lr=0.1, **config), [], []
    for cohort in ((0, 1, 2), (3, 4), (0, 5)):
        servers.append(harness.server)
        sgd, clients = harness.method.config.sgd(), harness.clients(*cohort)
        means.append(harness.fed.train_and_average(harness.server, clients, sgd))
        harness.round(*cohort)
    return [[{k: t.numpy() for k, t in row.items()} for row in rows] for rows in ([*servers, harness.server], means)]


def test_fedavgm_with_no_momentum_and_rate_1_is_fedavg():
    fedavg = after("fedavg", rounds=2, lr=0.1).server
    same(after("fedavgm", rounds=2, lr=0.1, server_momentum=0.0).server, fedavg)
    differ(after("fedavgm", rounds=2, lr=0.1).server, fedavg)


def test_fedavgm_by_hand():
    servers, means = recorded("fedavgm", server_lr=0.5)
    m = dict.fromkeys(servers[0], 0.0)
    for before, middle, behind in zip(servers, means, servers[1:], strict=False):
        for k, w in before.items():
            m[k] = 0.9 * m[k] + (middle[k] - w)
            np.testing.assert_allclose(behind[k], w + 0.5 * m[k], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["fedadam", "fedyogi"])
def test_adam_and_yogi_by_hand(name):
    """Algorithm 2 of Reddi et al. with its figures: beta_1 0.9, beta_2 0.99, tau 0.001, v from tau^2."""
    servers, means = recorded(name, server_lr=0.02)
    m, v = dict.fromkeys(servers[0], 0.0), {k: np.full_like(w, 1e-6) for k, w in servers[0].items()}
    for before, middle, behind in zip(servers, means, servers[1:], strict=False):
        for k, w in before.items():
            d = middle[k] - w
            m[k] = 0.9 * m[k] + 0.1 * d
            v[k] = 0.99 * v[k] + 0.01 * d**2 if name == "fedadam" else v[k] - 0.01 * d**2 * np.sign(v[k] - d**2)
            np.testing.assert_allclose(behind[k], w + 0.02 * m[k] / (np.sqrt(v[k]) + 1e-3), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["fedavg_ft", "fedprox", "ditto", "fedper", "fedrep", "fedbabu", "fedsim"])
def test_a_server_optimiser_is_an_option_of(name):
    """It moves what the server averages and nothing else, and at first half as far with half the rate."""
    start, whole, half = (after(name, rounds=n, **c) for n, c in ((0, {}), (1, {}), (1, {"server_lr": 0.5})))
    shared = "body" if hasattr(start.state, "body") else "server"
    w, mean, found = (getattr(harness.state, shared) for harness in (start, whole, half))
    close(found, {k: w[k] + 0.5 * (mean[k] - w[k]) for k in w})
    adam = after(name, rounds=2, server_optimizer="adam", server_lr=0.01, server_momentum=0.9)
    assert all(set(own) == set(w) for own in adam.state.memory.values())


def test_the_servers_optimiser_averages_running_figures():
    """BatchNorm's running mean and variance are the clients' mean, whatever the server's step."""
    setup = tiny_setup(model=normed())
    plain, adam = (Harness(name, setup, options=LOOP) for name in ("fedavg", "fedadam"))
    for harness in (plain, adam):
        harness.round(0, 1)
    figures = plain.fed.model.buffers
    assert figures
    same(adam.server.only(figures), plain.server.only(figures))
    differ(adam.server, plain.server)
    assert set(adam.state.memory["m"]) == plain.fed.model.trainable


def test_fedavg_ft_by_default_trains_everything_on_everything():
    harness = after("fedavg_ft")
    fed, everyone = harness.federation("adapt"), harness.clients()
    start = fed.send(harness.server, everyone)
    same(harness.adapted, fed.train(start, everyone, harness.method.config.sgd(), steps=20).params)


def test_linear_probing_moves_the_head_only():
    harness = after("fedavg_ft", scope="head", lr=0.1)
    fed, everyone = harness.federation("adapt"), harness.clients()
    body, head, adapted = harness.fed.model.body, harness.fed.model.head, harness.adapted
    same(adapted.only(body), fed.send(harness.server, everyone).only(body))
    differ(adapted.only(head), fed.send(harness.server, everyone).only(head))


def test_lp_ft_by_hand():
    """One full-batch step of the head, then one of everything."""
    harness, lr = by_hand("fedavg_ft", local_steps=2, schedule="head_first", lr=0.1, **PLAIN), 0.1
    w = harness.server
    probed = down(w, slopes(harness, 3, w), lr, harness.fed.model.head)
    close(row(harness.adapted, 3), down(probed, slopes(harness, 3, probed), lr))


def test_a_heavy_anchor_keeps_fine_tuning_near_the_received_model():
    def moved(anchor):
        harness = after("fedavg_ft", rounds=1, lr=0.05, anchor=anchor)
        adapted = harness.adapted
        return sum((adapted[k] - t).square().sum() for k, t in harness.server.items())

    assert moved(5.0) < 0.5 * moved(0.0)


def test_the_anchor_by_hand():
    """At the first step it has no slope; at the second it pulls back by what the first moved."""
    harness, lr = by_hand("fedavg_ft", local_steps=2, anchor=3.0, lr=0.1, **PLAIN), 0.1
    w = harness.server
    once = down(w, slopes(harness, 3, w), lr)
    twice = {k: t - lr * 3.0 * (once[k] - w[k]) for k, t in down(once, slopes(harness, 3, once), lr).items()}
    close(row(harness.adapted, 3), twice)


def test_no_steps_of_fine_tuning_are_fedavg():
    harness = after("fedavg_ft", finetune_steps=0)
    same(harness.adapted, harness.fed.send(harness.server, harness.clients()))
    assert harness.costs.adapt_steps == 0


def test_each_client_chooses_its_steps_on_samples_that_nobody_trains_on():
    """The first of several numbers of steps, 0 among them, with the least loss on the client's held-out part."""
    harness = after("fedavg_ft", rounds=1, steps_tried=(3, 12), lr=4.0)
    (kept, held), everyone = harness.federation("adapt").part(0.2), harness.clients()
    sgd, start = harness.method.config.sgd(), kept.send(harness.server, everyone)
    three = kept.train(start, everyone, sgd, steps=3)
    rest = kept.train(three.params, everyone, sgd, steps=9, momentum=three.momentum, stream="after 3")
    models = [start, three.params, rest.params]
    losses = torch.stack([held.compute(total_cross_entropy, model, everyone) for model in models])
    chosen = losses.argmin(0).tolist()
    assert set(chosen) == {0, 1, 2}, "everybody chose alike"
    adapted = harness.adapted
    for client, best in enumerate(chosen):
        same(row(adapted, client), row(models[best], client))


def test_held_out_samples_are_never_trained_on():
    """With other pixels in them, rounds give the same model and fine-tuning the same candidates."""
    harness = after("fedavg_ft", steps_tried=(5,))
    members = harness.fed.part(0.2)[1]._group.members
    setup = tiny_setup()
    blind = replace(setup, dataset=altered(setup.dataset, np.concatenate(members), labels=False))
    other = Harness("fedavg_ft", blind, rounds=4, options=LOOP, steps_tried=(5,))
    same(other.server, harness.server)
    differ(after("fedavg_ft").server, harness.server)


def test_choosing_steps_is_paid_for():
    harness = after("fedavg_ft", steps_tried=(3, 12))
    harness.served("adapted", 0, 1)
    held = harness.fed.part(0.2)[1].sizes[:2].sum()
    assert (harness.costs.adapt_steps, harness.costs.adapt_forward_samples) == (2 * 12, 3 * held)


def test_fednova_with_equal_steps_is_fedavg():
    """With momentum too: then every client's gradients are in its change equally often."""
    for config in (PLAIN, {}):
        found, expected = after("fednova", rounds=2, steps="equal", **config), after("fedavg", rounds=2, **config)
        close(found.server, expected.server)


@pytest.mark.parametrize("momentum", [0.0, 0.8])
@pytest.mark.parametrize("cohort", [(0, 1, 2, 3), (1, 2)])
def test_fednova_in_numpy(momentum, cohort):
    """Clients of 1, 20, 3 and 48 samples take 1, 3, 1 and 7 full-batch steps, whoever else is in the cohort."""
    setup = ragged_setup().but(local_steps=7, batch_size=64)
    harness = Harness("fednova", setup, options=LOOP, lr=0.05, **PLAIN | {"momentum": momentum})
    w, tau, n = in_numpy(harness.server), np.array([1, 3, 1, 7]), np.array([1, 20, 3, 48])
    assert n.tolist() == harness.fed.sizes.tolist()
    d, a = {}, {}
    for i in cohort:
        y, velocity, a[i] = w, dict.fromkeys(w, 0.0), 0.0
        for step in range(tau[i]):
            g = numpy_slopes(harness, i, y)
            velocity = {k: momentum * velocity[k] + g[k] for k in y}
            y = {k: y[k] - 0.05 * velocity[k] for k in y}
            a[i] += sum(momentum**back for back in range(step + 1))  # how often gradients are in the change
        d[i] = {k: (w[k] - y[k]) / a[i] for k in w}
    p = {i: n[i] / n[list(cohort)].sum() for i in cohort}
    harness.round(*cohort)
    reach = sum(p[i] * a[i] for i in cohort)
    close_to_numpy(harness.server, {k: w[k] - reach * sum(p[i] * d[i][k] for i in cohort) for k in w})
    assert harness.costs.local_steps == tau[list(cohort)].sum()


def test_fednova_counts_what_momentum_accumulates():
    """With a gradient that is always 1 and rate 1, |a_i| is how far a client goes."""
    for steps in (1, 2, 7):
        at = velocity = 0.0
        for _ in range(steps):
            velocity = 0.9 * velocity + 1
            at += velocity
        assert accumulated(torch.tensor(steps), 0.9).item() == pytest.approx(at, rel=1e-4)
        assert accumulated(torch.tensor(steps), 0.0) == steps
