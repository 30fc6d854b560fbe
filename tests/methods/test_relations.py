"""Methods that relate clients to each other: each is what its paper says, by an identity or by hand."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pfl_bench.methods import cfl, fedamp, fedcac, fedfomo, pfedgraph

from pfl_bench.api import Federation, Params, stacked
from pfl_bench.engine.simulator import draw_cohort
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import tiny_setup
from tests.methods.rounds import PLAIN, after, by_hand, close, close_or_same, down, mean, row, same, slopes


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


def test_fedfomos_held_out_part_is_the_same_at_every_visit():
    """A draw at every visit, as in published code, trains in one round on what judges in the next."""
    harness = Harness("fedfomo", lr=0.05)
    net, (rest, held) = harness.group.model.evaluating(), harness.group.part(0.2)

    def judged(client, params):
        x, y = harness.group.pool.gather(torch.from_numpy(held.members[client]))
        return F.cross_entropy(net(params, x), y)

    for cohort in ((0, 1), (1, 2), (1, 0)):
        fed, clients, method = harness.fed, harness.clients(*cohort), harness.method
        own, start = [row(harness.state.models.rows(clients), i) for i in range(2)], []
        offered, affinity = method.offered(fed, harness.state, clients), harness.state.affinity.clone()
        for mine, client, others in zip(own, cohort, offered.tolist(), strict=True):
            theirs = [row(harness.state.models.rows(harness.clients(other)), 0) for other in others]
            apart = [sum((other[k] - mine[k]).square().sum() for k in mine).sqrt() for other in theirs]
            gains = [judged(client, mine) - judged(client, other) for other in theirs]
            weights = [float(gain / far) if far else 0.0 for gain, far in zip(gains, apart, strict=True)]
            affinity[client, others] += torch.tensor(weights)
            share = [max(w, 0) / max(sum(max(v, 0) for v in weights), 1e-12) for w in weights]
            pulls = list(zip(share, theirs, strict=True))
            start.append({k: t + sum(s * (other[k] - t) for s, other in pulls) for k, t in mine.items()})
        kept = Federation(rest, harness.costs, "train", fed.local_steps, fed.round, fed.progress, fed.visits)
        sent = Params({k: torch.stack([one[k] for one in start]) for k in start[0]})
        expected = kept.train(sent, clients, method.config.sgd()).params
        harness.round(*cohort)
        close_or_same(harness.state.models.rows(clients), expected, exact=False)
        torch.testing.assert_close(harness.state.affinity, affinity, rtol=1e-2, atol=1e-4)
    assert affinity[2, 0] != 0 and affinity[1, 0] != 0, "and the last visit adds to what was there"


def test_fedfomo_offers_by_a_clients_own_affinities_and_explores_less_and_less():
    harness = Harness("fedfomo", downloads=2)
    harness.state.affinity = torch.arange(36.0).view(6, 6) * torch.tensor([1.0, -1.0]).repeat(3)
    others = [[j for j in range(6) if j != i] for i in range(6)]
    best = [sorted(own, key=lambda j, i=i: -harness.state.affinity[i, j])[:2] for i, own in enumerate(others)]
    assert best != [own.argsort(descending=True)[:2].tolist() for own in harness.state.affinity.T]
    offers = []
    for number in (0, 6):
        harness.rounds = number
        offers.append(harness.method.offered(harness.fed, harness.state, harness.clients()).tolist())
    assert offers[1] == best, "after six rounds by 0.05 nothing is left of a chance of 0.3"
    assert offers[0] != best


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


@pytest.mark.parametrize("weights", ["uniform", "samples"])
def test_ifca_trains_the_model_of_least_loss_and_averages_within_clusters(weights):
    """HypCluster (Mansour et al. 2020) weighs a cluster's clients by their samples."""
    harness = Harness("ifca", clusters=3, lr=0.1, weights=weights)
    sizes = harness.fed.sizes[[0, 1, 2, 4]] if weights == "samples" else torch.ones(4)
    assert weights == "uniform" or len(sizes.unique()) > 1
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
        share = sizes * mine / (sizes * mine).sum()
        mixed = trained.map(lambda t, share=share: torch.tensordot(share, t, dims=1))
        expected = mixed if mine.any() else row(before, k)
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


def across(similarity: np.ndarray, apart: np.ndarray) -> float:
    return float(similarity[np.ix_(apart, ~apart)].max())


def every_bipartition(count: int):
    return [np.array((False, *rest)) for rest in itertools.product((False, True), repeat=count - 1) if any(rest)]


@pytest.mark.parametrize("seed", range(5))
def test_cfl_parts_as_well_as_trying_every_way(seed):
    """Sattler et al., algorithm 1: the greatest similarity across is as small as it can be."""
    found = np.random.default_rng(seed).uniform(-1, 1, (6, 6))
    similarity = (found + found.T) / 2
    best = min(across(similarity, apart) for apart in every_bipartition(6))
    apart = cfl.bipartition(similarity)
    assert apart.any() and not apart.all()
    assert across(similarity, apart) == best


def test_cfl_that_never_splits_is_fedavg():
    never = after("cfl", cohort=5, lr=0.1, eps1=0.0, earliest=0.0)
    same(row(never.received, 3), after("fedavg", lr=0.1).server)


def test_cfl_splits_by_hand():
    """Rounds of one step: updates, the best way to part them, and from then on a model of its own for either part."""
    harness = by_hand("cfl", cohort=6, lr=0.1, eps1=9.0, eps2=0.0, earliest=0.0, **PLAIN)
    start, sizes = harness.fed.init_params(), harness.fed.sizes
    ends = [down(start, slopes(harness, i, start), 0.1) for i in range(6)]
    updates = torch.stack([torch.cat([(end[k] - start[k]).flatten() for k in start]) for end in ends])
    similarity = F.cosine_similarity(updates.unsqueeze(0), updates.unsqueeze(1), dim=2).numpy()
    apart = min(every_bipartition(6), key=lambda parts: across(similarity, parts))
    harness.round(*range(6))
    assert harness.state.cluster.bool().tolist() == apart.tolist()
    for part in (apart, ~apart):
        own = [i for i in range(6) if part[i]]
        share = sizes[own] / sizes[own].sum()
        expected = {k: sum(s * ends[i][k] for s, i in zip(share, own, strict=True)) for k in start}
        for i in own:
            close(row(harness.received, i), expected)
    one_of_each = [int(part.nonzero()[0][0]) for part in (apart, ~apart)]
    models = [row(harness.received, i) for i in one_of_each]
    harness.round(*one_of_each)
    for i, model in zip(one_of_each, models, strict=True):
        close(row(harness.received, i), down(model, slopes(harness, i, model), 0.1))


@pytest.mark.parametrize(("eps1", "eps2", "splits"), [(1.01, 0.99, True), (0.99, 0.99, False), (1.01, 1.01, False)])
def test_cfl_splits_where_the_mean_is_short_and_some_update_is_long(eps1, eps2, splits):
    plain = by_hand("cfl", cohort=6, lr=0.1, eps1=0.0, earliest=0.0, **PLAIN)
    plain.round(*range(6))
    updates = cfl.flat(plain.state.updates.rows(plain.clients()))
    short, long = float(updates.mean(0).norm()), float(updates.norm(dim=1).max())
    assert short < long
    harness = by_hand("cfl", cohort=6, lr=0.1, eps1=eps1 * short, eps2=eps2 * long, earliest=0.0, **PLAIN)
    harness.round(*range(6))
    assert bool(harness.state.cluster.any()) == splits


def test_cfl_looks_at_the_directions_of_updates_not_at_their_lengths():
    """By inner products the long update would be with the second; the first is more alike to it."""
    harness = after("cfl", rounds=0, eps1=1e9, eps2=0.0)
    updates = {k: torch.zeros(3, *t.shape) for k, t in harness.fed.init_params().items()}
    updates["head.bias"] = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.3, 0.0], [6.0, 8.0, 0.0]])
    harness.state.updates.set_rows(harness.clients(0, 1, 2), updates)
    harness.state.heard[:3], harness.state.cluster[3:] = True, 1
    harness.method.split(harness.state)
    assert harness.state.cluster.tolist() == [0, 0, 2, 1, 1, 1]
    harness.state.heard[:] = True
    harness.state.cluster = torch.tensor([0, 0, 1, 1, 2, 2])
    harness.method.split(harness.state)
    assert harness.state.cluster.tolist() == [0, 0, 1, 1, 2, 2], "two do not part"


def test_cfl_waits_until_all_of_a_cluster_were_heard():
    harness = after("cfl", rounds=0, cohort=3, eps1=9.0, eps2=0.0, earliest=0.0)
    harness.round(0, 1, 2)
    harness.round(0, 1, 3)
    assert not harness.state.cluster.any()
    harness.round(2, 4, 5)
    assert harness.state.cluster.any() and not harness.state.heard.any()
    late = after("cfl", rounds=0, cohort=6, eps1=9.0, eps2=0.0, earliest=0.9)
    late.round(*range(6))
    assert not late.state.cluster.any()


def test_apple_by_hand():
    """Visits of two steps, whose momentum begins anew: autograd of F_i(sum_j p_ij w_j) + pull, in w_i and in p_i.

    p_i is not constrained; the models of the others are those that were sent.
    """
    figures = {"lr": 0.1, "relation_lr": 0.05, "mu": 2.0, "pulled": 0.9, "momentum": 0.6, "schedule": "cosine"}
    harness = by_hand("apple", local_steps=2, **figures)
    sizes, net = harness.fed.sizes, harness.group.model.evaluating()
    p0 = sizes / sizes.sum()
    w, p = [harness.fed.init_params() for _ in range(6)], [p0.clone() for _ in range(6)]
    for number, cohort in enumerate(((0, 1, 4, 3, 2), (0, 5), (1, 2))):
        pull = 2.0 * (1 + math.cos(math.pi * number * 5 / 12 / 0.9)) / 2
        before = list(w)
        for i in cohort:
            (x, y), velocity = harness.samples(i), [torch.zeros(())] * (1 + len(w[i]))
            for _ in range(2):
                own, weights = {k: t.clone().requires_grad_() for k, t in w[i].items()}, p[i].clone().requires_grad_()
                models = [own if j == i else before[j] for j in range(6)]
                theta = {k: sum(weights[j] * models[j][k] for j in range(6)) for k in own}
                loss = F.cross_entropy(net(theta, x), y) + pull / 2 * (weights - p0).square().sum()
                slope = torch.autograd.grad(loss, [weights, *own.values()])
                velocity = [0.6 * v + g for v, g in zip(velocity, slope, strict=True)]
                p[i] = (weights - 0.05 * velocity[0]).detach()
                w[i] = {k: t.detach() - 0.1 * v for (k, t), v in zip(own.items(), velocity[1:], strict=True)}
        harness.round(*cohort)
    stored = harness.state.p.rows(harness.clients())["p"]
    torch.testing.assert_close(stored, torch.stack(p), rtol=1e-3, atol=1e-5)
    assert (stored[0] - p0).abs().max() > 1e-3, "p learns"
    for i in range(6):
        close_or_same(row(harness.state.models.rows(harness.clients()), i), w[i], exact=False)
        theta = {k: sum(p[i][j] * w[j][k] for j in range(6)) for k in w[0]}
        close_or_same(row(harness.received, i), theta, exact=False)
    size = 4 * harness.group.model.size
    assert (harness.costs.bytes_down, harness.costs.bytes_up) == (9 * 6 * size, 9 * size), "all core models go down"


def test_apple_learns_its_relations_by_default():
    harness = after("apple", rounds=2)
    assert not torch.allclose(harness.state.p.rows(harness.clients())["p"], harness.state.p.default["p"])
    assert [harness.method.pull(done) for done in (0.0, 0.1, 0.5)] == [0.1, 0.0, 0.0]
    assert harness.method.pull(0.05) == pytest.approx(0.1 * 0.001**0.5)


def test_pfedgraph_projects_on_the_simplex():
    """Least squares over the simplex: the slope is least, and alike, where there is weight."""
    points = torch.randn(20, 7, generator=torch.Generator().manual_seed(0)).double()
    found = pfedgraph.on_simplex(points)
    torch.testing.assert_close(found.sum(1), torch.ones(20).double())
    assert (found >= 0).all() and (found == 0).any()
    slope = found - points
    least = slope.min(1, keepdim=True).values
    assert ((slope - least)[found > 0] < 1e-12).all()


def test_pfedgraph_weighs_those_that_moved_alike():
    """alpha ||a - p||^2 - sum_j a_j cos_ij: alike ones gain, opposite ones lose; a strong alpha gives the shares."""
    moved = torch.tensor([[1.0, 0.0], [2.0, 0.1], [-1.0, 0.0], [0.0, 1.0]])
    shares = torch.tensor([0.4, 0.1, 0.3, 0.2])
    a = pfedgraph.graph(moved, shares, alpha=2.0)
    points = shares + torch.tensor([1.0, 1.0, -1.0, 0.0]) / 4  # a cosine above 0.9 counts as 1
    torch.testing.assert_close(a[:1], pfedgraph.on_simplex(points.unsqueeze(0)))
    assert a[0, 1] > a[0, 3] > a[0, 2] == 0
    torch.testing.assert_close(pfedgraph.graph(moved, shares, alpha=1e6), shares.expand(4, 4), rtol=0, atol=1e-5)


def test_pfedgraph_along_the_shares_is_fedavg():
    graph, fedavg = (Harness(name, **own) for name, own in (("pfedgraph", {"alpha": 1e9, "lam": 0.0}), ("fedavg", {})))
    for _ in range(3):
        graph.round(*range(6))
        fedavg.round(*range(6))
    close_or_same(row(graph.received, 3), fedavg.server, exact=False)


def test_pfedgraph_by_hand_pulls_towards_the_models_that_were_mixed():
    """Two visits of two steps; in the second the loss has - lam sum_j a_ij cos(theta, theta_j), by autograd.

    At their mixture this has hardly a slope; after a step it has. Adapting is a visit that nobody collects.
    """
    harness, lam = by_hand("pfedgraph", local_steps=2, lr=0.2, alpha=0.5, lam=60.0, cohort=4, **PLAIN), 60.0
    start, clients = harness.fed.init_params(), (0, 2, 3, 5)
    sizes = harness.fed.sizes[list(clients)]
    vector = lambda params: torch.cat([params[k].flatten() for k in start])  # noqa: E731
    now, mixed_from, a = [start] * 4, [], torch.empty(0)

    def visit(position):
        end, (x, y) = now[position], harness.samples(clients[position])
        for _ in range(2):
            own = {k: t.clone().requires_grad_() for k, t in end.items()}
            loss = F.cross_entropy(harness.group.model.evaluating()(own, x), y)
            for j, other in enumerate(mixed_from):
                loss = loss - lam * a[position, j] * F.cosine_similarity(vector(own), vector(other), dim=0)
            slope = torch.autograd.grad(loss, list(own.values()))
            end = {k: t.detach() - 0.2 * g for (k, t), g in zip(own.items(), slope, strict=True)}
        return end

    for _ in range(2):
        ends = [visit(position) for position in range(4)]
        mixed_from = ends
        moved = torch.stack([vector(end) - vector(start) for end in ends])  # from the common initial model
        a = pfedgraph.graph(moved, sizes / sizes.sum(), alpha=0.5)
        now = [{k: sum(a[i, j] * ends[j][k] for j in range(4)) for k in start} for i in range(4)]
        harness.round(*clients)
    for position, client in enumerate(clients):
        close_or_same(row(harness.received, client), now[position], exact=False)
    close_or_same(row(harness.adapted, 2), visit(1), exact=False)
    assert (a[0] - sizes / sizes.sum()).abs().max() > 1e-2


def test_pfedgraphs_pull_raises_the_cosine():
    """The sign that the authors' code has the other way round."""
    found = []
    for lam in (0.0, 3.0):
        harness = by_hand("pfedgraph", lr=0.05, lam=lam, cohort=6, **PLAIN)
        start = harness.fed.init_params()
        guides = [
            torch.randn(t.shape, generator=torch.Generator().manual_seed(k)) for k, t in enumerate(start.values())
        ]
        harness.state.guides.set_rows(harness.clients(), stacked(dict(zip(start, guides, strict=True)), 6))
        guide = cfl.flat(harness.state.guides.rows(harness.clients()))
        trained = cfl.flat(harness.method.trained(harness.fed, harness.state, harness.clients()))
        found.append(F.cosine_similarity(guide, trained, dim=1))
    assert (found[1] > found[0]).all()


def test_fedcac_marks_what_changed_most_times_its_weight():
    before, after_ = {"w": torch.tensor([[1.0, 2.0, 3.0, 0.0]])}, {"w": torch.tensor([[2.0, 2.1, 3.0, 0.5]])}
    assert fedcac.critical(before, after_, 0.5)["w"].tolist() == [[True, False, False, True]]  # 2, 0.21, 0, 0.25
    assert fedcac.critical(before, before, 0.5)["w"].tolist() == [[False] * 4], "what did not change never matters"
    assert not fedcac.critical(before, after_, 0.0)["w"].any()


def test_fedcac_companions_by_hand():
    masks = torch.tensor([[1.0, 1, 0, 0, 0], [1, 0, 1, 0, 0], [0, 0, 0, 1, 1], [1, 1, 0, 1, 0]])  # not all of one size
    sets = [set(mask.nonzero().flatten().tolist()) for mask in masks]
    overlap = {(i, j): 1 - len(sets[i] ^ sets[j]) / (2 * len(sets[i])) for i in range(4) for j in range(4) if i != j}
    mean_of, most = sum(overlap.values()) / 12, max(overlap.values())
    assert overlap[0, 3] == 0.75 and overlap[3, 0] == pytest.approx(5 / 6) == most
    for reached in (0.0, 0.2, 0.6, 1.0, 1.1):
        threshold = mean_of + reached * (most - mean_of)
        like = torch.tensor([[float(i == j or overlap[i, j] >= threshold) for j in range(4)] for i in range(4)])
        torch.testing.assert_close(fedcac.companions(masks, reached), like / like.sum(1, keepdim=True))
    assert torch.equal(fedcac.companions(masks, 1.1), torch.eye(4)), "after beta nobody is like another"


@pytest.mark.parametrize("cohort", [(2,), (2, 4)])
def test_fedcac_runs_with_fewer_clients_than_its_defaults_assume(cohort):
    harness = after("fedcac", rounds=0)
    for _ in range(2):
        harness.round(*cohort)
    assert all(tensor.isfinite().all() for tensor in harness.received.values())
    assert torch.equal(fedcac.companions(torch.tensor([[1.0, 0.0]]), 0.5), torch.ones(1, 1))


def test_fedcac_without_critical_weights_is_fedavg():
    harness = after("fedcac", rounds=3, lr=0.05, tau=0.0, cohort=6)
    expected = harness.fed.init_params()
    again = after("fedcac", rounds=0, lr=0.05, tau=0.0, cohort=6)
    for number in range(3):
        fed = again.federation("train", round=number)
        everybody = draw_cohort(0, number, 6, 6)
        sgd = again.method.config.sgd()
        expected = fed.train_and_average(expected, again.clients(*everybody), sgd, weights="uniform")
    close(row(harness.received, 4), expected)


def test_fedcac_by_hand():
    """Two visits of one step; what matters to a client is in the mean of its companions, the rest in that of all."""
    harness = by_hand("fedcac", lr=0.2, tau=0.5, beta=5.0, cohort=3, **PLAIN)
    w = harness.fed.init_params()
    now, clients = {i: dict(w) for i in range(6)}, (0, 2, 5)
    for progress in (0.0, 3 / 12):
        ends = {i: down(now[i], slopes(harness, i, now[i]), 0.2) for i in clients}
        masks = {i: {} for i in clients}
        for i, (k, t) in itertools.product(clients, w.items()):
            matter = ((ends[i][k] - now[i][k]) * ends[i][k]).abs().flatten()
            most = matter.topk(t.numel() // 2).indices
            masks[i][k] = (torch.zeros(t.numel()).index_fill(0, most, 1.0) * (matter > 0)).view_as(t)
        vectors = torch.stack([torch.cat([masks[i][k].flatten() for k in w]) for i in clients])
        share = fedcac.companions(vectors, progress / 5.0)
        everybody = mean(list(ends.values()))
        for position, i in enumerate(clients):
            kappa = {k: sum(share[position, p] * ends[j][k] for p, j in enumerate(clients)) for k in w}
            now[i] = {k: masks[i][k] * kappa[k] + (1 - masks[i][k]) * everybody[k] for k in w}
        harness.round(*clients)
        assert len(share.unique()) > 2, "some are alike and some are not"
    for i in clients:
        close_or_same(row(harness.received, i), now[i], exact=False)
    close_or_same(row(harness.received, 1), everybody, exact=False)
    size, bits = 4 * harness.group.model.size, harness.group.model.size
    assert (harness.costs.bytes_down, harness.costs.bytes_up) == (6 * 2 * size, 6 * (size + bits))


def test_fedcac_when_beta_is_spent_keeps_what_matters_from_nobody_else():
    harness = by_hand("fedcac", lr=0.2, beta=0.2, cohort=3, **PLAIN)
    harness.round(0, 2, 5)  # of 12 visits three, a quarter
    starts = {i: row(harness.received, i) for i in (0, 2, 5)}
    ends = {i: down(start, slopes(harness, i, start), 0.2) for i, start in starts.items()}
    everybody = mean(list(ends.values()))
    harness.round(0, 2, 5)
    for i, end in ends.items():
        mask = harness.state.mask.rows(harness.clients(i))
        assert all(0 < t.float().mean() <= 0.5 for t in mask.values())
        close(row(harness.received, i), {k: torch.where(mask[k][0], end[k], everybody[k]) for k in end})


def test_ifca_is_served_the_model_of_least_loss_on_training_data():
    harness = after("ifca", rounds=3, clusters=3, lr=0.1)
    net, received = harness.group.model.evaluating(), harness.received
    for i in range(6):
        x, y = harness.samples(i)
        losses = [float(F.cross_entropy(net(row(harness.state.models, k), x), y)) for k in range(3)]
        same(row(received, i), row(harness.state.models, int(np.argmin(losses))))
