"""Nine methods as plug-ins: each is a fair entrant, and each is what its paper says, by an identity or by hand."""

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pfl_bench.api import PerClient, Served, Sgd, State, register_model
from pfl_bench.client.batches import Batch
from pfl_bench.registry import METHODS, load_plugin, read_plugin
from pfl_bench.spec.options import Options
from pfl_bench.testing import CHECKS, Context, run_check
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import tiny_setup

NAMES = ("scaffold", "feddyn", "moon", "fedrep", "fedbabu", "fedrod", "apfl", "feddbe", "fedala")
PLUGINS = {name: read_plugin(Path(__file__).parents[1] / "plugins" / f"{name}.py") for name in NAMES}
ENROLLING = [name for name in NAMES if name != "fedala"]
PLAIN = {"momentum": 0.0, "weight_decay": 0.0, "clip_norm": None}
LOOP = Options(backend="loop")


@pytest.fixture(scope="module", autouse=True)
def context():
    """The plug-ins are registered for these tests only."""
    METHODS.discover()
    before = dict(METHODS._entries)
    for plugin in PLUGINS.values():
        load_plugin(plugin)
    yield Context(NAMES, tuple(PLUGINS.values()))
    METHODS._entries = before
    for plugin in PLUGINS.values():
        del sys.modules[plugin.module_name]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.examine.__name__)
@pytest.mark.parametrize("method", NAMES)
def test_draft_conforms(method, check, context):
    assert run_check(check, method, context) is None


# Small worlds, in which a visit can be computed by hand


def after(name: str, rounds: int = 4, **config) -> Harness:
    """A method after some rounds on the reference back-end."""
    return Harness(name, rounds=rounds, options=LOOP, **config)


def by_hand(name: str, local_steps: int = 1, **config) -> Harness:
    """A method whose every batch is all that a client has."""
    setup = tiny_setup().but(local_steps=local_steps, batch_size=32)
    return Harness(name, setup, options=LOOP, **config)


def slopes(harness: Harness, client: int, params, loss=None):
    """The gradient of a client's mean loss ``loss(net, params, batch)``, by default cross-entropy, at ``params``."""
    x, y = harness.samples(client)
    net, leaves = harness.fed.model.evaluating(), {k: t.detach().clone().requires_grad_() for k, t in params.items()}
    loss = loss or (lambda net, params, batch: F.cross_entropy(net(params, batch.x), batch.y))
    value = loss(net, leaves, Batch(x, y, torch.ones(len(y))))
    found = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def down(params, gradient, lr, names=None):
    """One step of plain gradient descent."""
    return {k: t - lr * gradient[k] if names is None or k in names else t for k, t in params.items()}


def row(params, position: int):
    return {k: t[position] for k, t in params.items()}


def mean(rows):
    return {k: sum(r[k] for r in rows) / len(rows) for k in rows[0]}


def same(found, expected):
    assert set(found) == set(expected)
    for name in found:
        assert torch.equal(found[name], expected[name]), name


def close(found, expected):
    assert set(found) == set(expected)
    for name in found:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6)


def differ(found, other):
    assert any(not torch.allclose(found[name], other[name], atol=1e-4) for name in found)


# SCAFFOLD


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


# FedDyn


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


# MOON


def test_moon_without_mu_is_fedavg():
    same(after("moon", mu=0.0).server, after("fedavg").server)
    differ(after("moon", mu=10.0, lr=0.1).server, after("fedavg", lr=0.1).server)


def test_moons_contrast_by_hand():
    harness = after("moon", rounds=0)
    loss = sys.modules[PLUGINS["moon"].module_name].ModelContrastive
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


# FedRep


def test_fedrep_by_hand():
    """The head's step under the received body, then the body's under the head that came of it."""
    harness, lr = by_hand("fedrep", local_steps=2, head_share=0.5, lr=0.1, **PLAIN), 0.1
    head = set(harness.state.heads)
    start = row(harness.received, 0)
    middle = down(start, slopes(harness, 0, start), lr, head)
    end = down(middle, slopes(harness, 0, middle), lr, set(start) - head)
    harness.round(0)
    close(row(harness.received, 0), end)


def test_fedrep_adapts_heads_only():
    harness = after("fedrep")
    before, adapted = harness.received, harness.adapted
    same(adapted.only(harness.state.body), before.only(harness.state.body))
    differ(adapted.only(harness.state.heads), before.only(harness.state.heads))


def test_fedrep_needs_two_steps():
    setup = tiny_setup().but(local_steps=1)
    with pytest.raises(Exception, match="local_steps=1 cannot be divided"):
        Harness("fedrep", setup, rounds=1)


# FedBABU


def test_fedbabus_head_never_moves():
    harness = after("fedbabu")
    same(harness.server.only(harness.fed.model.head), harness.fed.init_params().only(harness.fed.model.head))
    differ(harness.server.only(harness.fed.model.body), harness.fed.init_params())


def test_fedbabu_by_hand():
    """Two steps of the body, both under the head that nobody trains."""
    harness, lr = by_hand("fedbabu", local_steps=2, lr=0.1, **PLAIN), 0.1
    expected = harness.server
    for _ in range(2):
        expected = down(expected, slopes(harness, 2, expected), lr, harness.fed.model.body)
    harness.round(2)
    close(harness.server, expected)


def test_fedbabu_fine_tunes_as_fedavg_does():
    harness, other = after("fedbabu"), after("fedavg_ft", finetune_steps=50)
    other.state = State(server=harness.server)
    same(harness.adapted, other.adapted)


# FedRoD


def test_fedrod_by_hand():
    """The balanced loss moves body and generic head, the personal loss the personal head and nothing else."""
    harness, lr = by_hand("fedrod", lr=0.1, **PLAIN), 0.1
    w, own = harness.server, row(harness.state.heads.rows(harness.clients(1)), 0)
    counts = harness.fed.class_counts[1]
    assert (counts == 0).any()  # a class that the client lacks

    def balanced(net, params, batch):
        weighted = counts * net(params, batch.x).exp()
        return -(weighted / weighted.sum(1, keepdim=True)).gather(1, batch.y[:, None]).log().mean()

    def residual(net, params, batch):
        return F.cross_entropy(net(w, batch.x) + net.head(params, net.features(w, batch.x)), batch.y)

    moved, kept = down(w, slopes(harness, 1, w, balanced), lr), down(own, slopes(harness, 1, own, residual), lr)
    harness.round(1)
    close(harness.server, moved)
    close(row(harness.state.heads.rows(harness.clients(1)), 0), kept)


def test_fedrod_predicts_with_the_sum_of_its_heads():
    harness = after("fedrod")
    served = harness.method.client_params(harness.federation("evaluate"), harness.state, harness.clients(2))
    net, (x, _) = harness.fed.model.evaluating(), harness.samples(2)
    own = row(harness.state.heads.rows(harness.clients(2)), 0)
    folded = harness.server | {k: harness.server[k] + t for k, t in own.items()}  # right for a linear head
    torch.testing.assert_close(served.predict(net, row(served.params, 0), x, None), net(folded, x))


# APFL


def test_apfl_with_alpha_zero_is_fedavg_on_half_the_steps():
    harness = after("apfl", rounds=0, lr=0.1, alpha=0.0, adaptive=False)
    cohort = harness.clients(0, 2, 5)
    half = harness.federation("train", local_steps=10)
    expected = half.train_and_average(harness.server, cohort, Sgd(0.1), weights="uniform")
    harness.round(0, 2, 5)
    same(harness.server, expected)
    same(row(harness.received, 0), expected)


def test_apfl_with_alpha_one_is_local_on_half_the_steps():
    setup = tiny_setup().but(local_steps=10)
    local = Harness("local", setup, rounds=4, options=LOOP, lr=0.1, **PLAIN)
    close(after("apfl", lr=0.1, alpha=1.0, adaptive=False).received, local.received)


def test_apfl_by_hand():
    """Two visits of one step: in the second v_i and w_i differ, so that alpha_i has a slope."""
    harness, lr, alpha = by_hand("apfl", local_steps=2, lr=0.1, alpha=0.3), 0.1, 0.3
    w = harness.server
    v = down(w, slopes(harness, 0, w), lr * alpha)  # at v = w the mixture is w, and alpha has no slope
    harness.round(0)
    w = harness.server
    mixture = {k: alpha * v[k] + (1 - alpha) * w[k] for k in w}
    at_mixture = slopes(harness, 0, mixture)
    slope = sum(((v[k] - w[k]) * at_mixture[k]).sum() for k in w)
    expected = down(w, slopes(harness, 0, w), lr), down(v, at_mixture, lr * alpha), alpha - lr * slope
    harness.round(0)
    close(harness.server, expected[0])
    close(row(harness.state.v.rows(harness.clients(0)), 0), expected[1])
    torch.testing.assert_close(harness.state.alpha.rows(harness.clients(0))["alpha"][0], expected[2])
    assert abs(float(slope)) > 1e-3
    assert harness.costs.local_steps == 4


# FedDBE


def test_feddbe_at_its_first_step_is_fedavg():
    """Without kappa, and with biases that are still zero."""
    setup = tiny_setup().but(local_steps=1)
    found, fedavg = (
        Harness(n, setup, rounds=1, options=LOOP, **c) for n, c in (("feddbe", {"kappa": 0.0}), ("fedavg", {}))
    )
    same(found.state.server, fedavg.server)


def test_feddbe_by_hand():
    harness, lr, kappa = by_hand("feddbe", lr=0.1, kappa=20.0, **PLAIN), 0.1, 20.0
    zbar, w, d = harness.state.consensus["zbar"], harness.state.server, len(harness.state.consensus["zbar"])

    def loss(net, params, batch):
        shared = {k: t for k, t in params.items() if k != "p"}
        z = net.features(shared, batch.x)
        away = ((z.mean(0) - zbar) ** 2).sum() / d
        return F.cross_entropy(net.head(shared, z + params["p"]), batch.y) + kappa * away / 2

    for _ in range(2):
        p = harness.state.bias.rows(harness.clients(4))["prbm"][0]
        expected = down({**w, "p": p}, slopes(harness, 4, {**w, "p": p}, loss), lr)
        harness.round(4)
        close({**harness.state.server, "p": harness.state.bias.rows(harness.clients(4))["prbm"][0]}, expected)
        w = harness.state.server
    assert p.abs().max() > 0


def test_feddbes_consensus_is_the_mean_of_all_features_after_an_initial_round():
    harness, lr = by_hand("feddbe", lr=0.1, **PLAIN), 0.1
    net, w = harness.fed.model.evaluating(), harness.fed.init_params()
    same(harness.state.server, w)
    z = [net.features(down(w, slopes(harness, i, w), lr), harness.samples(i)[0]) for i in range(6)]
    torch.testing.assert_close(harness.state.consensus["zbar"], torch.cat(z).mean(0))
    assert (harness.costs.local_steps, harness.costs.forward_samples) == (6, int(harness.fed.sizes.sum()))


# FedALA


def test_fedala_that_never_learns_its_weights_is_fedavg():
    same(after("fedala", first_steps=0, later_steps=0).server, after("fedavg").server)
    same(after("fedala", rounds=1).server, after("fedavg", rounds=1).server)
    differ(after("fedala", lr=0.1).server, after("fedavg", lr=0.1).server)


def test_fedala_by_hand():
    """The second visit: one step on W from 1, in the head alone, then one local step from the mixture."""
    harness = by_hand("fedala", local_steps=2, lr=0.1, eta=3.0, first_steps=1, **PLAIN)
    harness.round(0)
    harness.round(1)
    w, old = harness.server, row(harness.state.old.rows(harness.clients(0)), 0)
    assert set(old) == set(harness.fed.model.head)
    g = slopes(harness, 0, w)  # W = 1: the mixture is w
    weights = {k: (1 - 3.0 * g[k] * (w[k] - old[k])).clamp(0, 1) for k in old}
    assert any((t < 1).any() for t in weights.values())
    start = w | {k: old[k] + (w[k] - old[k]) * weights[k] for k in old}
    end = down(start, slopes(harness, 0, start), 0.1)
    harness.round(0)
    close(row(harness.state.W.rows(harness.clients(0)), 0), weights)
    close(harness.server, end)


def test_fedalas_visits_differ_in_length_and_cost_the_same():
    """In one cohort, each as if alone: a later visit with 2 steps on W, and a first one with 5."""
    together, alone = (after("fedala", rounds=0, lr=0.1, first_steps=5, later_steps=2) for _ in range(2))
    for harness in (together, alone):
        for cohort in ((0, 1), (0,)):  # in the very first round nobody has anything to learn
            harness.round(*cohort)
        assert harness.state.seen.tolist() == [True, *[False] * 5]
    for client, steps in ((0, 2), (1, 5)):
        ids = alone.clients(client)
        start, weights = alone.method.ala(alone.fed, alone.state, ids, torch.tensor([steps]))
        trained = alone.fed.train(start, ids, alone.method.config.sgd(), steps=20 - steps).params
        alone.state.W.set_rows(ids, weights)
        alone.state.old.set_rows(ids, trained)
    together.round(0, 1)
    same(together.state.W.rows(together.clients()), alone.state.W.rows(alone.clients()))
    same(together.state.old.rows(together.clients()), alone.state.old.rows(alone.clients()))
    assert together.costs.local_steps == 5 * 20


# What all of them share


@pytest.mark.parametrize("name", ENROLLING)
def test_newcomers_are_served_within_their_allowance(name):
    """More newcomers than there were training clients: nothing of theirs may be looked up among those."""
    harness, other = after(name, rounds=2), Harness("fedavg", tiny_setup(clients=8))
    fed = other.federation("enroll", local_steps=6)
    found = harness.method.enroll(fed, harness.state, fed.everyone)
    served = found if isinstance(found, Served) else Served(found)
    logits = other.group.backend.logits(
        fed.model, served, torch.rand(8, 5, 1, *other.samples(0)[0].shape[-2:]), torch.ones(8, 5)
    )
    assert logits.shape == (8, 5, 3) and logits.isfinite().all()
    assert other.costs.adapt_steps <= 8 * 6 and other.costs.local_steps == 0
    fresh = {
        k: PerClient(v.default, v.clients) if isinstance(v, PerClient) else v for k, v in vars(harness.state).items()
    }
    again = harness.method.enroll(fed, State(**fresh), fed.everyone)
    same(served.params, again.params if isinstance(again, Served) else again)


@pytest.mark.parametrize("name", NAMES)
def test_running_figures_are_averaged_and_never_descended(name):
    """With BatchNorm, on every back-end alike: also where a method says which parameters move."""

    @register_model("normed")
    def normed(shape, classes):
        width = shape[0] * shape[1] * shape[2]
        return nn.Sequential(nn.Flatten(), nn.Linear(width, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, classes))

    config = {"lr": 0.02} if name in ("scaffold", "apfl") else {"lr": 0.02, "weight_decay": 0.1}
    loop, stacked = (
        Harness(name, tiny_setup(model="normed"), rounds=2, options=Options(backend=backend), **config)
        for backend in ("loop", "vmap")
    )
    for a, b in zip(loop.tensors(), stacked.tensors(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    shared = loop.state.body if hasattr(loop.state, "body") else loop.state.server
    fedavg = Harness("fedavg", tiny_setup(model="normed"), rounds=1, options=LOOP)
    assert set(shared) >= fedavg.fed.model.buffers
    differ({k: shared[k] for k in fedavg.fed.model.buffers}, fedavg.fed.init_params())
