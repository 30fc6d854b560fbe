"""Prototypes and features: each is what its paper says, by an identity or by hand."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pfl_bench.methods import _gaussians, fedcp, fedpac, fedproto, gpfl
from torch import Tensor

from pfl_bench.api import Batch, Served, Sgd
from pfl_bench.testing.harness import Harness
from tests.methods.rounds import (
    LOOP,
    PLAIN,
    by_hand,
    class_sums,
    close,
    close_or_same,
    down,
    features,
    row,
    slopes,
)


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


def test_fedpac_two_rounds_by_hand():
    """Statistics of the received body, head step, body step towards the prototypes, prototypes of the trained body.

    Heads differ from the second round on, so that whose head is mixed by whose weights shows.
    """
    harness = by_hand("fedpac", local_steps=2, lr=0.1, head_lr=0.3, head_share=0.5, lam=2.0, **PLAIN)
    clients, sizes, net = (0, 3, 5), harness.fed.sizes, harness.group.model.evaluating()
    body, head = harness.fed.split(harness.fed.init_params())
    heads, prototypes = dict.fromkeys(clients, head), {}

    def aligned(net, params, batch):
        z = net.features(params, batch.x)
        known = [j for j, label in enumerate(batch.y.tolist()) if label in prototypes]
        pull = sum(((z[j] - prototypes[int(batch.y[j])]) ** 2).mean() for j in known) / len(z)
        return F.cross_entropy(net.head(params, z), batch.y) + 2.0 * pull

    for _ in range(2):
        h, variance, ends, seen = [], [], [], []
        for i in clients:
            start = {**body, **heads[i]}
            z, y = features(harness, start, i)
            h.append(class_sums(z, y, 3)[0] / len(y))
            variance.append((z.square().sum() / len(y) - h[-1].square().sum()) / len(y))
            fitted = down(start, slopes(harness, i, start), 0.3, set(head))
            ends.append(down(fitted, slopes(harness, i, fitted, aligned), 0.1, set(body)))
            seen.append(class_sums(net.features(ends[-1], harness.samples(i)[0]), y, 3))
        a = fedpac.head_weights(torch.stack(h), torch.stack(variance))
        share = sizes[list(clients)] / sizes[list(clients)].sum()
        body = {k: sum(s * end[k] for s, end in zip(share, ends, strict=True)) for k in body}
        heads = {i: {k: sum(a[p, q] * ends[q][k] for q in range(3)) for k in head} for p, i in enumerate(clients)}
        sums, counts = (sum(each) for each in zip(*seen, strict=True))
        prototypes = {c: sums[c] / counts[c] for c in range(3) if counts[c]}
        harness.round(*clients)
        assert (a - a.T).abs().max() > 1e-2 and (a - torch.eye(3)).abs().max() > 1e-2
    for i in clients:
        close(row(harness.received, i), {**body, **heads[i]})
    adapted = {**body, **heads[3]}
    for _ in range(2):
        adapted = down(adapted, slopes(harness, 3, adapted), 0.3, set(head))
    close(row(harness.adapted, 3), adapted)


def test_fedproto_without_lambda_is_local():
    proto, local = Harness("fedproto", rounds=4, lam=0.0, predict="head"), Harness("local", rounds=4)
    close_or_same(proto.received, local.received, exact=False)
    pulled = Harness("fedproto", rounds=4, lam=10.0)
    assert any(not torch.allclose(pulled.received[n], t, atol=1e-4) for n, t in local.received.items())


def fedproto_step(params, x, y, prototypes, lr, lam):
    """One step of FedProto on the MLP in NumPy, its gradient written out; ``prototypes`` where there are any."""
    hidden = np.maximum(x @ params["hidden.weight"].T + params["hidden.bias"], 0)
    logits = hidden @ params["head.weight"].T + params["head.bias"]
    error = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - np.eye(logits.shape[1])[y]
    pull = np.stack([z - prototypes.get(int(c), z) for z, c in zip(hidden, y, strict=True)])
    slope = (error @ params["head.weight"] + lam * 2 / hidden.shape[1] * pull) * (hidden > 0)
    moves = {"head.weight": error.T @ hidden, "head.bias": error.sum(0)}
    moves |= {"hidden.weight": slope.T @ x, "hidden.bias": slope.sum(0)}
    return {name: params[name] - lr * moves[name] / len(x) for name in params}


def test_fedproto_two_rounds_in_numpy():
    """The first without prototypes, the second towards those of the first, which are means over samples."""
    harness, cohort = by_hand("fedproto", lr=0.1, lam=0.7, **PLAIN), (0, 1, 3)
    start = {name: tensor.double().numpy() for name, tensor in harness.fed.init_params().items()}
    models, prototypes = dict.fromkeys(cohort, start), {}
    for _ in range(2):
        harness.round(*cohort)
        seen = []
        for client in cohort:
            x, y = (tensor.numpy() for tensor in harness.samples(client))
            x = x.reshape(len(x), -1).astype(float)
            models[client] = fedproto_step(models[client], x, y, prototypes, 0.1, 0.7)
            z = np.maximum(x @ models[client]["hidden.weight"].T + models[client]["hidden.bias"], 0)
            seen += zip(y.tolist(), z, strict=True)
        prototypes |= {c: np.mean([z for y, z in seen if y == c], axis=0) for c in {y for y, _ in seen}}
    for client in cohort:
        close(row(harness.received, client), {n: torch.from_numpy(a).float() for n, a in models[client].items()})
    for c, mean in prototypes.items():
        torch.testing.assert_close(harness.state.prototypes["mean"][c], torch.from_numpy(mean).float())


def test_fedproto_predicts_classes_that_the_client_does_not_have():
    """The official code looks among the client's own classes only; nobody else has that mask."""
    harness = Harness("fedproto", rounds=4)
    client = next(i for i, counts in enumerate(harness.fed.class_counts) if (counts == 0).any())
    absent = int((harness.fed.class_counts[client] == 0).nonzero()[0])
    other = next(i for i, counts in enumerate(harness.fed.class_counts) if counts[absent] > 0)
    x, y = harness.samples(other)
    found = harness.predict("received", client, x[y == absent])
    params, prototypes = row(harness.received, client), harness.state.prototypes["mean"]
    z = harness.group.model.evaluating().features(params, x[y == absent])
    nearest = torch.stack([(z - mean).square().sum(1) for mean in prototypes], 1).argmin(1)
    assert torch.equal(found.argmax(1), nearest) and (nearest == absent).any()


@pytest.mark.parametrize("cohort", [(0, 2), (0,)])
def test_fedproto_prototypes_are_class_means_over_the_cohort_and_stay_where_it_has_none(cohort):
    harness = Harness("fedproto", rounds=2)
    before = harness.state.prototypes["mean"].clone()
    harness.round(*cohort)
    sums, counts = zip(*(class_sums(*features(harness, row(harness.received, i), i), 3) for i in cohort), strict=True)
    total = sum(counts)
    assert (total == 0).any() == (len(cohort) == 1) and (before.abs().sum(1) > 0).all()
    assert harness.state.prototypes["known"].tolist() == [1.0, 1.0, 1.0], "also of a class that the cohort lacks"
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


def test_pfedfda_head_is_the_posterior_of_the_gaussians():
    torch.manual_seed(0)
    root, mean, z = (torch.randn(rows, 4, dtype=torch.double) for rows in (4, 3, 6))
    prior, cov = torch.tensor([0.5, 0.3, 0.2]).double(), root @ root.T + torch.eye(4)
    head = _gaussians.lda(mean, cov, prior)
    spread = (1 - 1e-4) * cov + 1e-4 * cov.trace() / 4 * torch.eye(4)
    densities = [torch.distributions.MultivariateNormal(own, spread).log_prob(z) for own in mean]
    posterior = (torch.stack(densities, 1) + prior.log()).log_softmax(1)
    torch.testing.assert_close(F.linear(z, head["weight"], head["bias"]).log_softmax(1), posterior)


def test_pfedfda_round_by_hand():
    """A body step under LDA of the received Gaussians; then half of the client's own, in NumPy; means by samples."""
    harness = by_hand("pfedfda", lr=0.1, share=0.5, **PLAIN)
    start, shared, cohort = dict(harness.state.body), dict(harness.state.gaussians), (0, 3)
    priors = harness.method.prior(harness.fed, harness.clients())
    torch.testing.assert_close(priors[0], (harness.fed.class_counts[0] / harness.fed.sizes[0] + 1e-4) / 1.0003)
    harness.round(*cohort)
    bodies, means, covs, sizes = [], [], [], []
    for client in cohort:
        head = _gaussians.lda(shared["mean"], shared["cov"], priors[client])

        def loss(net, params, batch, head=head):
            return F.cross_entropy(F.linear(net.features(params, batch.x), head["weight"], head["bias"]), batch.y)

        bodies.append(down(start, slopes(harness, client, start, loss), 0.1))
        z, y = (tensor.double().numpy() for tensor in features(harness, bodies[-1], client))
        own = np.stack([z[y == c].mean(0) if (y == c).sum() > 1 else shared["mean"][c].numpy() for c in range(3)])
        apart = z - own[y.astype(int)]
        means.append(0.5 * own + 0.5 * shared["mean"].numpy())
        covs.append(0.5 * (apart.T @ apart / (len(z) - 1) + np.eye(z.shape[1])) + 0.5 * shared["cov"].numpy())
        sizes.append(len(z))
    weights = np.asarray(sizes) / sum(sizes)
    gaussians = {"mean": np.tensordot(weights, means, 1), "cov": np.tensordot(weights, covs, 1)}
    close(harness.state.gaussians, {name: torch.from_numpy(found).float() for name, found in gaussians.items()})
    close(harness.state.body, {name: weights[0] * bodies[0][name] + weights[1] * bodies[1][name] for name in start})
    travels = sum(tensor.numel() for tensor in (*start.values(), *shared.values()))
    assert harness.costs.bytes_down == harness.costs.bytes_up == 2 * 4 * travels, "no head"


def test_pfedfda_shares_are_the_best_of_a_grid_by_two_fold_cross_validation():
    """Own class means are far from the shared ones, which are of no use; classes with one sample take no part."""
    rng = np.random.default_rng(0)
    y = torch.from_numpy(np.concatenate([rng.integers(2, size=40), [2]]))
    z = torch.from_numpy(rng.normal(size=(41, 3))) + 1.2 * F.one_hot(y, 3)
    shared, prior = (torch.from_numpy(rng.normal(size=(3, 3))), torch.eye(3).double()), torch.full((3,), 1 / 3).double()

    def objective(share: tuple[float, float]) -> float:
        total = 0.0
        places = [np.flatnonzero(y.numpy() == label) for label in (0, 1)]
        halves = [np.concatenate([own[start::2] for own in places]) for start in (0, 1)]
        for fit, held in (halves, halves[::-1]):
            mean, cov = _gaussians.gaussians(z[fit], y[fit], shared[0])
            mean = share[0] * mean + (1 - share[0]) * shared[0]
            head = _gaussians.lda(mean, share[1] * cov + (1 - share[1]) * shared[1], prior)
            total += float(F.cross_entropy(F.linear(z[held], head["weight"], head["bias"]), y[held]))
        return total

    found = _gaussians.fitted_shares(z, y, shared, prior)
    assert 0.3 < found[0] <= 1 and 0 <= found[1] <= 1
    best = min(map(objective, itertools.product(np.linspace(0, 1, 11), repeat=2)))
    assert objective(tuple(found.tolist())) <= best + 1e-3
    assert _gaussians.fitted_shares(z[-1:], y[-1:], shared, prior).tolist() == [0, 0], "nothing to fit on"
    spoilt = shared[0], shared[1] * torch.nan
    assert _gaussians.fitted_shares(z, y, spoilt, prior).tolist() == [0, 0], "a run that diverged says so itself"


def test_pfedfda_mixes_by_the_shares_that_are_fitted_on_the_trained_features():
    """Under the client's own class shares; nothing is set, so cross-validation decides for each client."""
    harness = by_hand("pfedfda", lr=0.1, **PLAIN)
    harness.round(0, 3, 5)
    shared, body = dict(harness.state.gaussians), dict(harness.state.body)
    given, found = (shared["mean"].double(), shared["cov"].double()), []
    served = harness.served("adapted")
    for client in range(6):
        z, y = features(harness, body, client)
        prior = harness.method.prior(harness.fed, harness.clients(client))[0].double()
        found.append(_gaussians.fitted_shares(z.double(), y, given, prior))
        own = _gaussians.gaussians(z.double(), y, given[0])
        mean, cov = (s * a + (1 - s) * b for s, a, b in zip(found[-1], own, given, strict=True))
        head = _gaussians.lda(mean, cov, prior)
        torch.testing.assert_close(served.aux["bias"][client].double(), head["bias"], rtol=1e-3, atol=1e-3)
        even = _gaussians.fitted_shares(z.double(), y, given, torch.full((3,), 1 / 3).double())
        assert client or (even - found[0]).abs().max() > 1e-2, "class shares matter"
    assert torch.stack(found).std(0).max() > 1e-2, "each client has its own"


def test_pfedfda_estimates_and_where_the_search_for_shares_begins():
    """A class of one sample has the shared mean; where both estimates are alike every share is as good: 1/2 stays."""
    z, y = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)).double(), torch.tensor([0, 0, 1, 2, 2])
    mean, cov = _gaussians.gaussians(z, y, torch.full((3, 2), 7.0).double())
    torch.testing.assert_close(mean, torch.stack([z[:2].mean(0), torch.full((2,), 7.0).double(), z[3:].mean(0)]))
    apart = z - mean[y]
    torch.testing.assert_close(cov, apart.T @ apart / 4 + torch.eye(2))
    z, y = torch.cat([z[:4], z[:4]]).repeat_interleave(2, 0), torch.tensor([0, 0, 1, 1]).repeat(2).repeat_interleave(2)
    alike = _gaussians.gaussians(z[::2], y[::2], mean[:2])
    assert _gaussians.fitted_shares(z, y, alike, torch.full((2,), 0.5).double()).tolist() == [0.5, 0.5]


def test_pfedfda_serves_newcomers_without_a_step_and_with_their_own_gaussians():
    harness = Harness("pfedfda", rounds=2, share=1.0)
    fed = harness.federation("enroll")
    served = harness.method.enroll(fed, harness.state, fed.everyone)
    assert harness.costs.adapt_steps == 0
    z, y = features(harness, row(served.params, 1), 1)
    mean, cov = _gaussians.gaussians(z, y, harness.state.gaussians["mean"])
    head = _gaussians.lda(mean, cov, harness.method.prior(fed, fed.everyone)[1])
    close(row(served.aux, 1), head)


def valve_by_hand(params, z, condition):
    """GPFL's CoV in NumPy."""

    def of(name):
        hidden = np.maximum(params[f"{name}.weight"] @ condition + params[f"{name}.bias"], 0)
        return (hidden - hidden.mean()) / np.sqrt(hidden.var() + 1e-5)

    return np.maximum(z * (of("gamma") + 1) + of("beta"), 0)


def test_gpfl_loss_and_conditions_by_hand():
    """Conditions come from the embeddings as received; the guide's norm is a mean over samples; padding is left out."""
    harness = Harness("gpfl", options=LOOP, lam=0.7)
    fed, client = harness.fed, 2
    x, y = harness.samples(client)
    params = harness.fed.init_params() | harness.state.guide
    aux = row(harness.method.conditions(fed, harness.state, harness.clients(client)), 0)
    net, weight = harness.group.model.evaluating(), torch.ones(len(y))
    weight[-1] = 0
    found = gpfl.Guided(0.7)(net, params, Batch(x, y, weight), aux)
    held = {name: tensor.double().numpy() for name, tensor in params.items()}
    classes, share = held["classes.weight"], np.bincount(y, minlength=3) / len(y)
    z = net.features(fed.init_params(), x).double().numpy()[:-1]
    shared = np.stack([valve_by_hand(held, own, classes.mean(0)) for own in z])
    personal = np.stack([valve_by_hand(held, own, share @ classes) for own in z])
    angles = shared / np.linalg.norm(shared, axis=1, keepdims=True)
    angles = angles @ (classes / np.linalg.norm(classes, axis=1, keepdims=True)).T
    logits, labels = personal @ held["head.weight"].T + held["head.bias"], y.numpy()[:-1]
    by_hand = sum(np.mean(np.log(np.exp(a).sum(1)) - a[np.arange(len(a)), labels]) for a in (logits, angles))
    by_hand += 0.7 * np.linalg.norm(shared - classes[labels], axis=1).mean()
    assert float(found) == pytest.approx(by_hand, rel=1e-4)
    predicted = harness.predict("received", client, x[:4])
    torch.testing.assert_close(predicted, torch.from_numpy(logits[:4]).float(), rtol=1e-4, atol=1e-5)


def gpfl_loss(params, x, y, received, share):
    """CE(head(CoV(z, p))) + CE(cos(CoV(z, g), E)) + 0.7 |CoV(z, g) - E'_y|; what was received does not move."""

    def valve(z, condition):
        def of(name):
            hidden = (params[f"{name}.weight"] @ condition + params[f"{name}.bias"]).relu()
            hidden = (hidden - hidden.mean()) / (hidden.var(correction=0) + 1e-5).sqrt()
            return hidden * params[f"{name}.norm.weight"] + params[f"{name}.norm.bias"]

        return (z * (of("gamma") + 1) + of("beta")).relu()

    z = (x.flatten(1) @ params["hidden.weight"].T + params["hidden.bias"]).relu()
    shared, personal = valve(z, received.mean(0)), valve(z, share @ received)
    angles = F.cosine_similarity(shared.unsqueeze(1), params["classes.weight"], dim=2)
    loss = F.cross_entropy(personal @ params["head.weight"].T + params["head.bias"], y) + F.cross_entropy(angles, y)
    return loss + 0.7 * (shared - received[y]).norm(dim=1).mean()


def test_gpfl_two_rounds_by_hand():
    """Two steps each, by autograd: at the second the embeddings that were received are no longer those that train."""
    harness, clients = by_hand("gpfl", local_steps=2, lr=0.2, lam=0.7, mu=0.0, **PLAIN), (0, 3)
    shared, head = dict(harness.state.body | harness.state.guide), harness.state.heads.default
    heads, sizes = dict.fromkeys(clients, head), harness.fed.sizes[list(clients)]
    for _ in range(2):
        received, ends = shared["classes.weight"], []
        for i in clients:
            at, (x, y) = {**shared, **heads[i]}, harness.samples(i)
            share = torch.bincount(y, minlength=3) / len(y)
            for _step in range(2):
                leaves = {k: t.clone().requires_grad_() for k, t in at.items()}
                found = torch.autograd.grad(gpfl_loss(leaves, x, y, received, share), list(leaves.values()))
                at = {k: t.detach() - 0.2 * g for (k, t), g in zip(leaves.items(), found, strict=True)}
            ends.append(at)
            heads[i] = {k: at[k] for k in head}
        shared = {k: sum(s * end[k] for s, end in zip(sizes / sizes.sum(), ends, strict=True)) for k in shared}
        harness.round(*clients)
    close(harness.state.body | harness.state.guide, shared)
    for i in clients:
        close(row(harness.state.heads.rows(harness.clients(i)), 0), heads[i])


def test_gpfl_decays_its_guide_only_and_keeps_heads():
    """With mu the embeddings move by -lr mu E more than without; body and head do not notice; heads stay."""
    plain, decayed = (by_hand("gpfl", lr=0.1, mu=mu, **PLAIN) for mu in (0.0, 0.5))
    start = plain.state.guide.map(torch.clone)
    for harness in (plain, decayed):
        harness.round(1)
    close(decayed.state.guide, {name: t - 0.1 * 0.5 * start[name] for name, t in plain.state.guide.items()})
    close(decayed.state.body, plain.state.body)
    heads = plain.state.heads.rows(plain.clients(0, 1))
    assert torch.equal(heads["head.weight"][0], plain.state.heads.default["head.weight"])
    assert not torch.equal(heads["head.weight"][1], heads["head.weight"][0])
    sent = sum(tensor.numel() for tensor in (*plain.state.body.values(), *plain.state.guide.values()))
    assert plain.costs.bytes_down == plain.costs.bytes_up == 4 * sent


def test_fedcp_prediction_by_hand_has_no_noise_and_divides_each_feature():
    harness = Harness("fedcp", rounds=2, options=LOOP)
    client, (x, _) = 1, harness.samples(1)
    held = {name: t.double().numpy() for name, t in (harness.state.server | harness.state.gate).items()}
    own = {n: t[0].double().numpy() for n, t in harness.state.heads.rows(harness.clients(client)).items()}
    z = harness.group.model.evaluating().features(harness.state.server, x).double().numpy()
    context = own["head.weight"].sum(0)
    hidden = (z * context / np.linalg.norm(context)) @ held["gate.weight"].T + held["gate.bias"]
    hidden = (hidden - hidden.mean(1, keepdims=True)) / np.sqrt(hidden.var(1, keepdims=True) + 1e-5)
    hidden = np.maximum(hidden * held["gate.norm.weight"] + held["gate.norm.bias"], 0).reshape(len(z), 2, -1)
    a, b = np.moveaxis(np.exp(hidden) / np.exp(hidden).sum(1, keepdims=True), 1, 0)
    by_hand = (a * z) @ own["head.weight"].T + own["head.bias"]
    by_hand += (b * z) @ held["head.weight"].T + held["head.bias"]
    found = harness.predict("received", client, x)
    torch.testing.assert_close(found, torch.from_numpy(by_hand).float(), rtol=1e-4, atol=1e-5)
    assert torch.equal(found, harness.predict("received", client, x))


def test_fedcp_discrepancy_is_mmd_over_real_samples():
    """Zero for equal batches; by hand for others, whatever the padding holds."""
    torch.manual_seed(0)
    x, y = torch.randn(5, 3), torch.randn(5, 3) + 1
    weight = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0])
    assert float(fedcp.discrepancy(x, x, weight)) == pytest.approx(0, abs=1e-6)

    def kernel(a, b):
        return sum(math.exp(-float(((a - b) ** 2).sum()) / (2 * width)) for width in (10, 15, 20, 50))

    pairs = list(itertools.product(range(4), repeat=2))
    by_hand = sum(kernel(x[i], x[j]) + kernel(y[i], y[j]) - 2 * kernel(x[i], y[j]) for i, j in pairs) / 16
    assert float(fedcp.discrepancy(x, y, weight)) == pytest.approx(by_hand, rel=1e-4)


def test_fedcp_sends_half_of_either_head_and_freezes_the_received_one():
    harness = Harness("fedcp", rounds=1)
    before = harness.state.server.only(harness.fed.model.head).map(torch.clone)
    harness.round(2)
    own = row(harness.state.heads.rows(harness.clients(2)), 0)
    close(harness.state.server.only(before), {name: (own[name] + before[name]) / 2 for name in before})
    sent = sum(tensor.numel() for tensor in (*harness.state.server.values(), *harness.state.gate.values()))
    harness = Harness("fedcp")
    harness.round(0, 3)
    assert harness.costs.bytes_down == harness.costs.bytes_up == 2 * 4 * sent


def fedcp_loss(params, own, x, y, received, context):
    """CE of head_i(a z) + head(b z), + 3 MMD^2 to the features of the received body, which stays with its head."""

    def features(weights):
        return (x.flatten(1) @ weights["hidden.weight"].T + weights["hidden.bias"]).relu()

    def kernel(a, b):
        apart = (a.unsqueeze(1) - b.unsqueeze(0)).square().sum(2)
        return sum(torch.exp(-apart / (2 * width)) for width in (10, 15, 20, 50)).mean()

    z, before = features(params), features(received)
    hidden = F.layer_norm((z * context) @ params["gate.weight"].T + params["gate.bias"], (2 * z.shape[1],))
    hidden = (hidden * params["gate.norm.weight"] + params["gate.norm.bias"]).relu()
    a = torch.sigmoid(hidden[:, : z.shape[1]] - hidden[:, z.shape[1] :])
    logits = (a * z) @ own["head.weight"].T + own["head.bias"]
    logits = logits + ((1 - a) * z) @ received["head.weight"].T + received["head.bias"]
    return F.cross_entropy(logits, y) + 3 * (kernel(z, z) + kernel(before, before) - 2 * kernel(z, before))


def test_fedcp_two_rounds_by_hand():
    """Two steps each, by autograd; the context is of the own head before the visit, what goes up half of either."""
    harness, clients = by_hand("fedcp", local_steps=2, lr=0.3, lam=3.0, **PLAIN), (0, 3)
    shared, head = dict(harness.state.server | harness.state.gate), harness.state.heads.default
    heads, sizes = dict.fromkeys(clients, head), harness.fed.sizes[list(clients)]
    for _ in range(2):
        ends, received = [], dict(shared)
        for i in clients:
            moving, own, (x, y) = {k: t for k, t in received.items() if k not in head}, heads[i], harness.samples(i)
            context = own["head.weight"].sum(0) / own["head.weight"].sum(0).norm()
            for _step in range(2):
                a, b = ({k: t.clone().requires_grad_() for k, t in part.items()} for part in (moving, own))
                found = torch.autograd.grad(fedcp_loss(a, b, x, y, received, context), [*a.values(), *b.values()])
                moved = [t.detach() - 0.3 * g for t, g in zip((*a.values(), *b.values()), found, strict=True)]
                moving, own = dict(zip(a, moved, strict=False)), dict(zip(b, moved[len(a) :], strict=True))
            ends.append({**moving, **{k: (own[k] + received[k]) / 2 for k in own}})
            heads[i] = own
        shared = {k: sum(s * end[k] for s, end in zip(sizes / sizes.sum(), ends, strict=True)) for k in shared}
        harness.round(*clients)
    close(harness.state.server | harness.state.gate, shared)
    for i in clients:
        close(row(harness.state.heads.rows(harness.clients(i)), 0), heads[i])
