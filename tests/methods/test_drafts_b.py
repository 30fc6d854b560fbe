"""Seven drafts as plug-ins: fair entrants, and each pinned to its definition."""

import ast
import io
import itertools
import math
import sys
import tokenize
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pfl_bench.api import Served, Sgd, register_model
from pfl_bench.registry import METHODS, load_plugin, read_plugin
from pfl_bench.spec.options import Options
from pfl_bench.testing import CHECKS, Context, run_check
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import tiny_setup

NAMES = ("knn_per", "fedpac", "fedproto", "fedfomo", "fedamp", "pfedla", "ifca")
PLUGINS = Path(__file__).parents[1] / "plugins"


@pytest.fixture(scope="module")
def context():
    """The plug-ins are registered for these tests only."""
    plugins = tuple(read_plugin(PLUGINS / f"{name}.py") for name in NAMES)
    METHODS.discover()
    before = dict(METHODS._entries)
    for plugin in plugins:
        load_plugin(plugin)
    yield Context(NAMES, plugins)
    METHODS._entries = before
    for plugin in plugins:
        del sys.modules[plugin.module_name]


@pytest.fixture(scope="module", autouse=True)
def modules(context) -> dict[str, ModuleType]:
    return {name: sys.modules[plugin.module_name] for name, plugin in zip(NAMES, context.plugins, strict=True)}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.examine.__name__)
@pytest.mark.parametrize("method", NAMES)
def test_draft_conforms(method, check, context):
    assert run_check(check, method, context) is None


def code_lines(name: str) -> int:
    """Lines with code on them: no blank ones, comments or docstrings."""
    text = (PLUGINS / f"{name}.py").read_text(encoding="utf-8")
    said = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
    idle = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type not in idle]
    used = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    return len(used - {line for node in said for line in range(node.lineno, (node.end_lineno or 0) + 1)})


@pytest.mark.parametrize(("name", "most"), [("knn_per", 40), ("fedpac", 90)])
def test_drafts_are_short(name, most):
    assert code_lines(name) <= most


@pytest.mark.parametrize("name", ["knn_per", "fedpac", "fedproto", "fedfomo", "ifca"])
def test_newcomers_are_served_and_change_nothing(name):
    harness = Harness(name, rounds=2)
    before = [tensor.clone() for tensor in harness.tensors()]
    served = harness.method.enroll(harness.federation("enroll", local_steps=3), harness.state, harness.clients(1, 4))
    params = getattr(served, "params", served)
    assert {n: t.shape for n, t in params.items()} == {n: (2, *t.shape) for n, t in harness.fed.init_params().items()}
    assert all(torch.equal(a, b) for a, b in zip(before, harness.tensors(), strict=True))


def assert_same(a, b, exact: bool = True) -> None:
    assert set(a) == set(b)
    for name in a:
        torch.testing.assert_close(
            a[name], b[name], **({"rtol": 0, "atol": 0} if exact else {"rtol": 1e-4, "atol": 1e-5})
        )


def row(tree, position: int):
    return {name: tensor[position] for name, tensor in tree.items()}


def features(harness: Harness, params, client: int) -> tuple[Tensor, Tensor]:
    """Features and labels of a client's training samples, without ``fed.compute``."""
    x, y = harness.samples(client)
    return harness.group.model.evaluating().features(params, x), y


def class_sums(z: Tensor, y: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    sums = torch.stack([z[y == label].sum(0) for label in range(classes)])
    return sums, torch.tensor([float((y == label).sum()) for label in range(classes)])


# kNN-Per


def knn_predictions(harness: Harness, client: int, x: Tensor) -> Tensor:
    served = harness.method.adapt(harness.federation("adapt"), harness.state, harness.clients())
    assert isinstance(served, Served) and served.predict is not None
    net = harness.group.model.evaluating()
    return served.predict(net, row(served.params, client), x, row(served.aux, client))


def test_knn_per_without_neighbours_is_fedavg():
    knn, fedavg = Harness("knn_per", rounds=3, lam=0.0), Harness("fedavg", rounds=3)
    assert_same(knn.server, fedavg.server)
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


# FedPAC


def objective(h: Tensor, variance: Tensor, own: int, a: Tensor) -> float:
    """a^T (diag V + D) a as the paper writes it, term by term."""
    total = 0.0
    for j, k in itertools.product(range(len(h)), repeat=2):
        bias = ((h[own] - h[j]) * (h[own] - h[k])).sum()
        total += float(a[j] * a[k] * (bias + (variance[j] if j == k else 0.0)))
    return total


def test_fedpac_weights_solve_the_quadratic_programme(modules):
    """Against every point of a grid on the simplex, for a solution inside it and for one on its border."""
    for seed, noise in ((0, 2.0), (1, 0.2)):
        rng = np.random.default_rng(seed)
        h, variance = torch.from_numpy(rng.normal(size=(3, 2, 2))), torch.from_numpy(noise * rng.uniform(size=3))
        weights = modules["fedpac"].head_weights(h, variance)
        ticks = np.linspace(0, 1, 51)
        grid = [torch.tensor([a, b, 1 - a - b]) for a, b in itertools.product(ticks, ticks) if a + b <= 1]
        for own, a in enumerate(weights):
            assert a.sum() == pytest.approx(1) and (a >= 0).all()
            best = min(grid, key=lambda point: objective(h, variance, own, point))
            assert objective(h, variance, own, a) <= objective(h, variance, own, best) + 1e-9
            assert (a - best).abs().max() < 0.03


def test_fedpac_weights_of_two_clients_by_hand(modules):
    """V = (1, 1) and |h_1 - h_2|^2 = 3: a_1 is proportional to (1 / 1, 1 / (1 + 3))."""
    h = torch.tensor([[[0.0, 0.0]], [[3.0**0.5, 0.0]]])
    weights = modules["fedpac"].head_weights(h, torch.ones(2))
    torch.testing.assert_close(weights, torch.tensor([[0.8, 0.2], [0.2, 0.8]]))
    alike = modules["fedpac"].head_weights(torch.zeros(2, 1, 2), torch.zeros(2))
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
    assert_same(mid.without(head), start.without(head))
    end = fed.train(mid, cohort, sgd, steps=16, trainable=fed.model.body).params
    harness.round(0, 1, 3)
    assert_same(harness.state.body, fed.average(end.without(head), cohort), exact=False)
    inside = row(harness.received, 0)
    for name in head:
        assert inside[name].max() <= end[name].amax() and inside[name].min() >= end[name].amin(), "a convex combination"


# FedProto


def test_fedproto_without_lambda_is_local():
    proto, local = Harness("fedproto", rounds=4, lam=0.0, predict="head"), Harness("local", rounds=4)
    assert_same(proto.received, local.received, exact=False)
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


def test_fedproto_predicts_the_nearest_prototype(modules):
    nearest = modules["fedproto"].nearest_prototype
    harness = Harness("fedproto", rounds=1)
    net, params = harness.group.model.evaluating(), harness.fed.init_params()
    z, _ = features(harness, params, 0)
    x, _ = harness.samples(0)
    mean = torch.stack([z[0], z[1], torch.zeros(z.shape[1])])
    logits = nearest(net, params, x, {"mean": mean, "known": torch.tensor([1.0, 1.0, 0.0])})
    torch.testing.assert_close(logits[:, 1], -(z - z[1]).square().sum(1), rtol=1e-4, atol=1e-4)
    assert logits[:2].argmax(1).tolist() == [0, 1] and not (logits.argmax(1) == 2).any()
    torch.testing.assert_close(nearest(net, params, x, {"mean": mean, "known": torch.zeros(3)}), net(params, x))


# FedFomo


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
        assert_same(row(start, position), expected, exact=False)
    assert (weights > 0).any() and (weights < 0).any(), "the example shows both cases"
    alike = method.mixed(fed, harness.state, own, clients, torch.tensor([[4], [1]]))
    assert not alike[1].any(), "two initial models have no distance"
    assert_same(alike[0], own)


def test_fedfomo_never_trains_on_the_samples_that_judge(modules):
    """With other judging samples but the same offers the first visit, which takes from nobody, ends the same."""
    harness = Harness("fedfomo")
    rest, held = harness.group.part(0.2)
    for own, kept, judging in zip(harness.group.members, rest.members, held.members, strict=True):
        assert sorted([*kept, *judging]) == sorted(own) and not set(kept) & set(judging)
    cohort = harness.clients(0, 1)
    start = harness.fed.send(harness.fed.init_params(), cohort)
    trained = harness.fed.part(0.2)[0].train(start, cohort, harness.method.config.sgd()).params
    harness.round(0, 1)
    assert_same(harness.state.models.rows(cohort), trained)
    assert harness.costs.forward_samples == 6 * sum(len(held.members[client]) for client in (0, 1)), "own and 5 others"


def test_fedfomo_offers_the_best_or_any(modules):
    offer, scores = modules["fedfomo"].best_or_any, np.array([0.0, 3.0, -1.0, 2.0, 0.5])
    rng = np.random.default_rng(0)
    assert offer(rng, scores, [0, 2, 3, 4], 3, 0.0) == [3, 4, 0]
    assert sorted(offer(rng, scores, [0, 2, 3, 4], 9, 1.0)) == [0, 2, 3, 4]
    assert {offer(rng, scores, [0, 2, 3, 4], 1, 1.0)[0] for _ in range(50)} == {0, 2, 3, 4}
    assert {offer(rng, np.zeros(5), [1, 2], 1, 0.0)[0] for _ in range(50)} == {1, 2}, "ties are broken at random"


# FedAMP


def test_fedamp_attention_by_hand(modules):
    """xi_ij = alpha / sigma exp(-d2 / sigma), the rest of 1 for oneself; too much of it is scaled to 1."""
    models = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    xi = modules["fedamp"].attention(models, torch.tensor([2, 0]), alpha=2.0, sigma=10.0)
    to_0, to_1 = 0.2 * math.exp(-0.1), 0.2 * math.exp(-(9 + 9) / 10)
    torch.testing.assert_close(xi[0], torch.tensor([to_0, to_1, 1 - to_0 - to_1]))
    far = 0.2 * math.exp(-2.5)
    torch.testing.assert_close(xi[1], torch.tensor([1 - far - to_0, far, to_0]))
    strong = modules["fedamp"].attention(models, torch.tensor([0]), alpha=100.0, sigma=10.0)[0]
    assert strong[0] == pytest.approx(0, abs=1e-6) and strong.sum() == pytest.approx(1)
    assert float(strong[2] / strong[1]) == pytest.approx(math.exp(2.4), rel=1e-4)


def test_fedamp_without_attention_and_pull_is_local():
    amp, local = Harness("fedamp", cohort=5, sigma=1e-4, lam=0.0), Harness("local")
    for cohort in ((0, 1, 2, 3, 4, 5), (0, 2, 4), (1, 2, 5)):
        amp.round(*cohort)
        local.round(*cohort)
    assert_same(amp.received, local.received, exact=False)


def test_fedamp_pulls_towards_what_was_sent(modules):
    """F + lam / (2 alpha) |w - u|^2 by hand for two plain steps; u is what attention makes of the last models."""
    figures = {"cohort": 6, "alpha": 2.0, "sigma": 20.0, "momentum": 0.0, "weight_decay": 0.0, "clip_norm": None}
    harness = Harness("fedamp", tiny_setup().but(local_steps=2, batch_size=1000), lam=3.0, lr=0.05, rounds=2, **figures)
    models, net = harness.received, harness.group.model.evaluating()
    flat = torch.cat([t.flatten(1) for t in models.values()], 1)
    xi = modules["fedamp"].attention(flat, torch.tensor([1]), 2.0, 20.0)[0]
    u = {name: torch.tensordot(xi, t, dims=1) for name, t in models.items()}
    w, (x, y) = dict(u), harness.samples(1)
    for _ in range(2):
        slope = torch.func.grad(lambda at: F.cross_entropy(net(at, x), y))(w)
        w = {n: t - 0.05 * (slope[n] + 3.0 / 2.0 * (t - u[n])) for n, t in w.items()}
    harness.round(1)
    assert_same(row(harness.received, 1), w, exact=False)


# pFedLA


def test_pfedla_descends_the_distance_to_what_came_back(modules):
    """The step on v_i and psi_i against central differences of |mixed - returned|^2 / 2: its size and its sign."""
    mixed = modules["pfedla"].mixed
    harness = Harness("pfedla", rounds=2, lr=0.1, hn_lr=1e-2, embedding=4, hidden=5)
    cohort, layers = harness.clients(0, 3), harness.fed.model.layers
    before, models = harness.state.phi.rows(cohort), harness.state.models.rows(harness.clients())
    harness.round(0, 3)
    after, returned = harness.state.phi.rows(cohort), harness.state.models.rows(cohort)
    doubles = [{n: t.double() for n, t in tree.items()} for tree in (before, models, returned)]

    def distance(phi) -> float:
        made = mixed(phi, doubles[1], layers)
        return sum(float((made[name] - doubles[2][name]).square().sum()) for name in made) / 2

    for name, tensor in before.items():
        steepest = (after[name] - tensor).abs().flatten().topk(4).indices
        for at in steepest:
            moved = [doubles[0][name].clone() for _ in range(2)]
            for sign, copy in zip((1, -1), moved, strict=True):
                copy.view(-1)[at] += sign * 1e-5
            ahead, behind = (distance({**doubles[0], name: copy}) for copy in moved)
            step = float((after[name] - tensor).flatten()[at])
            assert step == pytest.approx(-1e-2 * (ahead - behind) / 2e-5, rel=2e-2, abs=1e-6), name
    assert distance({n: t.double() for n, t in after.items()}) < distance(doubles[0])


def test_pfedla_starts_near_the_mean_with_weights_that_sum_to_one(modules):
    harness = Harness("pfedla")
    weights = modules["pfedla"].layer_weights(harness.state.phi)
    assert weights.shape == (6, len(harness.fed.model.layers), 6) and (weights > 0).all()
    torch.testing.assert_close(weights.sum(2), torch.ones(6, 2))
    assert (weights - 1 / 6).abs().max() < 0.1
    assert_same(row(harness.received, 0), harness.fed.init_params(), exact=False)


# IFCA


def test_ifca_with_one_cluster_is_fedavg():
    ifca, fedavg = Harness("ifca", rounds=4, clusters=1, weights="samples"), Harness("fedavg", rounds=4)
    assert_same(row(ifca.state.models, 0), fedavg.server)


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
        assert_same(row(harness.state.models, k), expected, exact=False)
    assert len(choice.unique()) > 1, "the example has clusters"


def test_ifca_counts_a_forward_pass_per_model_and_sends_them_all():
    harness = Harness("ifca", clusters=3)
    harness.round(0, 1, 5)
    assert harness.costs.forward_samples == 3 * sum(len(harness.group.members[client]) for client in (0, 1, 5))
    size = 4 * harness.group.model.size
    assert (harness.costs.bytes_down, harness.costs.bytes_up) == (3 * 3 * size, 3 * size)
    _ = harness.received
    assert harness.costs.adapt_forward_samples == 3 * sum(map(len, harness.group.members))


def label_counts(net, params, batch, aux):
    return F.one_hot(batch.y, net.model.classes).float().T @ batch.weight


@pytest.mark.parametrize("backend", ["loop", "vmap"])
def test_computing_counts_the_samples_it_saw_even_without_the_net(backend):
    harness = Harness("fedavg", options=Options(backend=backend))
    clients = harness.clients(1, 4)
    found = harness.fed.compute(label_counts, harness.fed.send(harness.fed.init_params(), clients), clients)
    assert torch.equal(found, harness.fed.class_counts[[1, 4]])
    assert harness.costs.forward_samples == found.sum()


def test_naming_a_body_as_trainable_leaves_running_figures_to_the_batches():
    """Weight decay on BatchNorm's running figures would move them; FedPAC trains ``model.body``, which holds them."""

    @register_model("drafts_batch_norm")
    def build(input_shape, classes):
        width = math.prod(input_shape)
        return nn.Sequential(nn.Flatten(), nn.Linear(width, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, classes))

    harness = Harness("fedavg", tiny_setup(model="drafts_batch_norm"))
    fed, cohort, sgd = harness.fed, harness.clients(0, 2), Sgd(1e-9, weight_decay=0.5e9)
    start = fed.send(fed.init_params(), cohort)
    body, nothing = (fed.train(start, cohort, s, steps=1, trainable=fed.model.body).params for s in (sgd, Sgd(0.0)))
    assert fed.model.buffers <= fed.model.body
    assert_same(body.only(fed.model.buffers), nothing.only(fed.model.buffers))
    assert not torch.equal(body["1.weight"], nothing["1.weight"])
