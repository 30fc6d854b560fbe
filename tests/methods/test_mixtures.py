"""Mixtures of a personal and a federated model: each is what its paper says, by an identity or by hand."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pfl_bench.methods import apfl, feddecomp, superfed
from pfl_bench.methods._masks import greatest

from pfl_bench.api import Sgd
from pfl_bench.engine.simulator import draw_cohort
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import tiny_setup
from tests.methods.rounds import LOOP, PLAIN, after, by_hand, close, differ, down, mean, row, same, slopes


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


@pytest.mark.parametrize(("slope", "end"), [(0.2, 0.3), (9.0, 0.0), (-9.0, 1.0)])
def test_apfls_alpha_stays_between_its_two_models(slope, end):
    v, w, alpha = {"a": torch.tensor([1.0])}, {"a": torch.tensor([0.0])}, torch.tensor(0.5)
    rule = apfl.MixedStep(lr=1.0, adaptive=True)
    _, (moved, found) = rule(lambda at, batch: {"a": torch.tensor([slope])}, w, (None,), None, (v, alpha))
    assert (float(found), float(moved["a"])) == pytest.approx((end, 1.0 - 0.5 * slope))


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


def test_fedala_is_evaluated_after_steps_on_its_weights_and_none_on_the_models():
    """Two steps on W from the stored ones, under the received model; nothing of it is kept."""
    harness = by_hand("fedala", local_steps=6, lr=0.1, eta=3.0, first_steps=4, later_steps=2, **PLAIN)
    for cohort in ((0, 3), (0, 1), (2,)):
        harness.round(*cohort)
    w, ids = harness.server, harness.clients(0)
    old, stored = (row(part.rows(ids), 0) for part in (harness.state.old, harness.state.W))
    weights = dict(stored)
    for _ in range(2):
        at = w | {k: old[k] + (w[k] - old[k]) * weights[k] for k in old}
        g = slopes(harness, 0, at)
        weights = {k: (W - 3.0 * g[k] * (w[k] - old[k])).clamp(0, 1) for k, W in weights.items()}
    adapted = row(harness.adapted, 0)
    close(adapted, w | {k: old[k] + (w[k] - old[k]) * weights[k] for k in old})
    differ(adapted, w | {k: old[k] + (w[k] - old[k]) * stored[k] for k in old})
    same(row(harness.state.W.rows(ids), 0), stored)


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


def test_mr_mtl_and_l2gd_without_a_pull_are_local():
    same(after("mr_mtl", lr=0.05, lam=0.0).received, after("local", lr=0.05).received)
    same(after("l2gd", lr=0.05, lam=0.0).received, after("local", lr=0.05, **PLAIN).received)
    differ(after("mr_mtl", lr=0.05, lam=2.0).received, after("local", lr=0.05).received)
    differ(after("l2gd", lr=0.05, lam=2.0).received, after("local", lr=0.05, **PLAIN).received)


def test_mr_mtl_by_hand():
    """Nobody's model is overwritten; the mean is of everybody's last model, of whatever cohort."""
    harness = by_hand("mr_mtl", lr=0.1, lam=0.7, **PLAIN)
    models, start = {i: harness.fed.init_params() for i in range(6)}, harness.fed.init_params()
    for cohort in ((0, 1, 4), (1, 5), (0, 4)):
        center = mean(list(models.values()))
        for i in cohort:
            g = slopes(harness, i, models[i])
            models[i] = {k: t - 0.1 * (g[k] + 0.7 * (t - center[k])) for k, t in models[i].items()}
        harness.round(*cohort)
    for i in range(6):
        close(row(harness.received, i), models[i])
    close(harness.state.mean, mean(list(models.values())))
    close(models[3], start)


def test_l2gd_by_hand():
    harness = by_hand("l2gd", lr=0.1, lam=2.0)
    models = {i: harness.fed.init_params() for i in range(6)}
    for cohort in ((0, 1, 4), (1, 5)):
        models |= {i: down(models[i], slopes(harness, i, models[i]), 0.1) for i in cohort}
        center = mean([models[i] for i in cohort])
        models |= {i: {k: 0.8 * t + 0.2 * center[k] for k, t in models[i].items()} for i in cohort}
        harness.round(*cohort)
    for i in range(6):
        close(row(harness.received, i), models[i])


def test_l2gd_with_the_strongest_pull_is_fedavg():
    """Then everybody of the cohort has the mean; with the same cohort in every round that is FedAvg."""
    harness, everybody = after("l2gd", rounds=0, lr=0.05, lam=9.0), range(6)
    expected = harness.fed.init_params()
    for _ in range(3):
        expected = harness.fed.train_and_average(expected, harness.clients(), Sgd(0.05), weights="uniform")
        harness.round(*everybody)
    close(row(harness.received, 2), expected)


def test_fedem_with_one_model_is_fedavg():
    same(row(after("fedem", lr=0.05, models=1).state.models, 0), after("fedavg", lr=0.05).server)


def fedem_by_hand(harness, client, models, pi):
    """E-step on all of a client's data: q ``[n, M]``, and the losses that it saw."""
    x, y = harness.samples(client)
    net = harness.group.model.evaluating()
    losses = torch.stack([F.cross_entropy(net(row(models, m), x), y, reduction="none") for m in range(len(pi))], 1)
    joint = pi * torch.exp(-losses)
    return joint / joint.sum(1, keepdim=True), losses


def test_fedem_by_hand():
    """Two visits of two steps for each of two models; q is of the received models, while they train.

    In the second visit pi is no longer uniform.
    """
    harness = by_hand("fedem", local_steps=4, lr=0.1, models=2, **PLAIN)
    pi, clients, sizes = {i: torch.tensor([0.5, 0.5]) for i in range(6)}, (0, 4), harness.fed.sizes
    for _ in range(2):
        models = harness.state.models.map(torch.clone)
        ends = []
        for client in clients:
            q, _ = fedem_by_hand(harness, client, models, pi[client])
            each = [row(models, m) for m in range(2)]
            for m, _step in itertools.product(range(2), range(2)):
                weighted = lambda net, p, batch, w=q[:, m]: (  # noqa: E731
                    w * F.cross_entropy(net(p, batch.x), batch.y, reduction="none")
                ).mean()
                each[m] = down(each[m], slopes(harness, client, each[m], weighted), 0.1)
            ends.append(each)
            pi[client] = q.mean(0)
        harness.round(*clients)
        share = sizes[list(clients)] / sizes[list(clients)].sum()
        for m in range(2):
            expected = {k: share[0] * ends[0][m][k] + share[1] * ends[1][m][k] for k in models}
            close(row(harness.state.models, m), expected)
    stored = harness.state.pi.rows(harness.clients())["pi"]
    torch.testing.assert_close(stored, torch.stack([pi[i] for i in range(6)]), rtol=1e-4, atol=1e-6)
    assert (stored[0] - 0.5).abs().max() > 1e-2
    assert harness.costs.local_steps == 2 * 2 * 4, "M models share the steps of a visit"
    assert harness.costs.forward_samples == 2 * 2 * int(sizes[list(clients)].sum()), "M passes over all local data"
    assert harness.costs.bytes_down == harness.costs.bytes_up == 2 * 2 * 2 * 4 * harness.group.model.size


def test_fedem_mixes_probabilities():
    harness = after("fedem", rounds=3, models=3)
    x, net = harness.samples(1)[0][:5], harness.group.model.evaluating()
    pi = harness.state.pi.rows(harness.clients(1))["pi"][0]
    expected = sum(pi[m] * net(row(harness.state.models, m), x).softmax(-1) for m in range(3))
    torch.testing.assert_close(harness.predict("received", 1, x).exp(), expected)


def test_fedem_newcomers_fit_their_pi_alone():
    """Ten E-steps: each is at least as likely as the one before, and the models stay."""
    harness = after("fedem", rounds=3, models=2)
    served = harness.method.enroll(harness.federation("enroll"), harness.state, harness.clients(2))
    same(row(served.params, 0), harness.state.models)
    pi = torch.tensor([0.5, 0.5])
    for _ in range(10):
        q, losses = fedem_by_hand(harness, 2, harness.state.models, pi)
        pi = q.mean(0)
    torch.testing.assert_close(served.aux[0].exp(), pi, rtol=1e-4, atol=1e-6)
    likelihood = lambda pi: (pi * torch.exp(-losses)).sum(1).log().sum()  # noqa: E731
    assert likelihood(pi) > likelihood(torch.tensor([0.5, 0.5]))
    assert harness.costs.adapt_steps == 0


def test_masks_take_the_greatest_entries():
    scores = torch.tensor([[[3.0, 1.0], [2.0, 2.0]], [[0.0, 5.0], [4.0, 1.0]]])
    found = greatest(scores, torch.tensor([2, 1]))
    assert found.int().tolist() == [[[1, 0], [1, 0]], [[0, 1], [0, 0]]]
    assert greatest(scores, torch.tensor([0, 4])).flatten(1).sum(1).tolist() == [0, 4]


def test_fedselect_by_hand():
    """Three visits of four steps: own, shared, own, shared; then the quarter that changed most becomes own."""
    harness = by_hand("fedselect", local_steps=4, lr=0.2, alternations=2, every=2, cohort=2)
    w, start = harness.state.server, harness.state.server
    own, before, visits = (dict.fromkeys(range(6), value) for value in (start, start, 0))
    mask = {i: {k: torch.zeros_like(t).bool() for k, t in start.items()} for i in range(6)}
    for cohort in ((0, 1), (0, 3), (1, 0), (0, 4), (1, 0)):  # at last some weights are own to all who are there
        ends = {}
        for i in cohort:
            theta = {k: torch.where(mask[i][k], own[i][k], w[k]) for k in w}
            for turn in (True, False, True, False):
                g = slopes(harness, i, theta)
                theta = {k: t - 0.2 * g[k] * (mask[i][k] == turn) for k, t in theta.items()}
            ends[i] = theta
        shared = {k: sum((~mask[i][k]).float() for i in cohort) for k in w}
        total = {k: sum(ends[i][k] * ~mask[i][k] for i in cohort) for k in w}
        unshared = any((t == 0).any() for t in shared.values())
        w = {k: torch.where(shared[k] > 0, total[k] / shared[k].clamp(min=1), w[k]) for k in w}
        for i in cohort:
            own[i] = {k: torch.where(mask[i][k], ends[i][k], w[k]) for k in w}
            visits[i] += 1
            if visits[i] % 2:
                continue
            for k in [k for k in w if w[k].dim() > 1]:
                changed = (ends[i][k] - before[i][k]).abs()
                changed[mask[i][k]] = -1
                most = changed.flatten().topk(round(0.25 * int((~mask[i][k]).sum()))).indices
                mask[i][k] = mask[i][k].flatten().index_fill(0, most, True).view_as(w[k])
            before[i] = ends[i]
        harness.round(*cohort)
        close(harness.state.server, w)
    for i in range(6):
        same(row(harness.state.mask.rows(harness.clients()), i), mask[i])
        close(row(harness.received, i), {k: torch.where(mask[i][k], own[i][k], w[k]) for k in w})
    share = {k: float(t.float().mean()) for k, t in mask[0].items()}
    assert unshared and share["hidden.weight"] == pytest.approx(1 - 0.75**2, abs=1e-3) and share["hidden.bias"] == 0
    assert not any(t.any() for i in (3, 4) for t in mask[i].values()), "they had one visit each"


def test_fedselect_stops_at_its_share_and_draws_its_cohorts_like_everybody():
    harness = after("fedselect", rounds=8, every=1, most=0.4)
    masks, visits = harness.state.mask.rows(harness.clients()), harness.state.visits
    expected = {0: 0.0, 1: 0.25, 2: 1 - 0.75**2}
    for i, times in enumerate(visits.tolist()):
        assert float(masks["hidden.weight"][i].float().mean()) == pytest.approx(expected[min(times, 2)], abs=1e-3)
    drawn = [draw_cohort(0, number, 6, 5).tolist() for number in range(8)]
    assert visits.tolist() == [sum(i in cohort for cohort in drawn) for i in range(6)]
    assert len({tuple(sorted(cohort)) for cohort in drawn}) > 1


@pytest.mark.parametrize(("most", "own"), [(0.5, 6), (0.49, 4)])
def test_fedselects_masks_grow_up_to_their_share(most, own):
    """Of eight weights four are own; half of the others follow unless they are more than the share."""
    method = after("fedselect", rounds=0, grown=0.5, most=most).method
    mask = torch.arange(8).view(1, 2, 4) < 4
    found = method.grown(mask, torch.arange(8.0).view(1, 2, 4), torch.tensor([True]))
    assert int(found.sum()) == own and found[mask].all()
    assert own == 4 or found[0, 1].tolist() == [False, False, True, True]
    assert torch.equal(method.grown(mask, torch.ones(1, 2, 4), torch.tensor([False])), mask), "it was not due"


def test_fedselect_that_never_grows_is_fedavg_on_half_the_steps():
    harness = by_hand("fedselect", local_steps=4, lr=0.2, alternations=1, grown=0.0, every=1)
    cohort = harness.clients(0, 2, 5)
    half = harness.federation("train", local_steps=2)
    expected = half.train_and_average(harness.state.server, cohort, Sgd(0.2), weights="uniform")
    harness.round(0, 2, 5)
    close(harness.state.server, expected)
    assert harness.costs.local_steps - 6 == 3 * 4, "steps on own weights are paid for though nothing is own"


def test_feddecomp_without_a_personal_part_is_fedavg_on_what_steps_are_left():
    harness = after("feddecomp", rounds=0, lr=0.05, linear_rank=0)
    cohort, sgd = harness.clients(0, 2, 5), harness.method.config.sgd()
    rest = harness.federation("train", local_steps=12)
    expected = rest.train_and_average(harness.state.server, cohort, sgd, weights="uniform")
    harness.round(0, 2, 5)
    same(harness.state.server, expected)
    same(row(harness.received, 3), expected)
    assert harness.costs.local_steps == 3 * 20 + 3 * 12


def test_feddecomp_by_hand():
    """One step on the factors under the received sigma, one on sigma under the new factors; twice."""
    harness = by_hand("feddecomp", local_steps=2, lr=0.2, personal_share=0.5, linear_rank=2, **PLAIN)
    clients, net = (0, 3), harness.group.model.evaluating()
    sigma = {k: t.clone() for k, t in harness.state.server.items()}
    default = harness.state.factors.default
    factors = {i: {k: t.clone() for k, t in default.items()} for i in clients}
    matrices = [k for k in sigma if k.endswith("weight")]

    def whole(sigma, own):
        return {k: t + (own["B of " + k] @ own["A of " + k] / 2 if k in matrices else 0) for k, t in sigma.items()}

    def step(moving, loss):
        leaves = {k: t.clone().requires_grad_() for k, t in moving.items()}
        found = torch.autograd.grad(loss(leaves), list(leaves.values()))
        return {k: t.detach() - 0.2 * g for (k, t), g in zip(leaves.items(), found, strict=True)}

    for _ in range(2):
        ends = []
        for i in clients:
            x, y = harness.samples(i)
            factors[i] = step(factors[i], lambda own, at=sigma, x=x, y=y: F.cross_entropy(net(whole(at, own), x), y))
            ends.append(step(sigma, lambda own, i=i, x=x, y=y: F.cross_entropy(net(whole(own, factors[i]), x), y)))
        sigma = mean(ends)
        harness.round(*clients)
    close(harness.state.server, sigma)
    for i in clients:
        close(row(harness.received, i), whole(sigma, factors[i]))
        personal = row(harness.received, i)["hidden.weight"] - sigma["hidden.weight"]
        assert torch.linalg.matrix_rank(personal, rtol=1e-3) == 2
    same(row(harness.received, 1), harness.state.server)
    size = 4 * harness.group.model.size
    assert harness.costs.bytes_down == harness.costs.bytes_up == 4 * size, "factors stay"


@pytest.mark.parametrize("channels", [1, 3])
def test_feddecomp_of_a_kernel(channels):
    """B ``[o k, r k]``, A ``[r k, i k]``, their product over r in the kernel's shape."""
    setup = tiny_setup(f"synthetic:classes=3,n=180,side=16,channels={channels}", "lenet7")
    harness = Harness("feddecomp", setup, conv_rank=0.3, linear_rank=40)
    factors = harness.state.factors.default
    a, b = factors["A of conv2.weight"], factors["B of conv2.weight"]
    assert (a.shape, b.shape) == ((4 * 5, 7 * 5), (14 * 5, 4 * 5))
    assert factors["A of conv1.weight"].shape == (min(2 * 5, channels * 5), channels * 5)
    assert factors["A of head.weight"].shape == (3, 84), "no rank above a matrix's own"
    assert not b.any() and float(a.abs().max()) <= 35**-0.5 and float(a.std()) > 0.5 * 35**-0.5
    b = torch.randn(b.shape)
    weight = harness.state.server["conv2.weight"]
    found = feddecomp.composed({**harness.state.server, "A of conv2.weight": a, "B of conv2.weight": b})
    torch.testing.assert_close(found["conv2.weight"], weight + (b @ a).reshape(14, 7, 5, 5) / 4)


def in_numpy(params):
    return {k: t.double().numpy() for k, t in params.items()}


def numpy_slope(params, samples):
    """The gradient of the mean cross-entropy of one hidden ReLU layer, by hand."""
    x, y = samples[0].flatten(1).double().numpy(), samples[1].numpy()
    hidden = np.maximum(x @ params["hidden.weight"].T + params["hidden.bias"], 0)
    scores = hidden @ params["head.weight"].T + params["head.bias"]
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    p /= len(y)
    back = (p @ params["head.weight"]) * (hidden > 0)
    return {
        "hidden.weight": back.T @ x, "hidden.bias": back.sum(0), "head.weight": p.T @ hidden, "head.bias": p.sum(0)
    }  # fmt: skip


def close_to_numpy(found, expected):
    close(found, {k: torch.from_numpy(array).float() for k, array in expected.items()})


def test_ditto_in_numpy():
    """Three rounds of two personal and two federated steps: the pull is towards the model that was received."""
    harness = by_hand("ditto", local_steps=4, lr=0.1, lam=0.7, **PLAIN)
    w, sizes = in_numpy(harness.server), harness.fed.sizes.tolist()
    v = {i: dict(w) for i in range(6)}
    for cohort in ((0, 1, 4), (1, 5), (0, 1)):
        ends = []
        for i in cohort:
            for _ in range(2):
                g = numpy_slope(v[i], harness.samples(i))
                v[i] = {k: a - 0.1 * (g[k] + 0.7 * (a - w[k])) for k, a in v[i].items()}
            own = dict(w)
            for _ in range(2):
                own = down(own, numpy_slope(own, harness.samples(i)), 0.1)
            ends.append(own)
        total = sum(sizes[i] for i in cohort)
        w = {k: sum(sizes[i] / total * end[k] for i, end in zip(cohort, ends, strict=True)) for k in w}
        harness.round(*cohort)
    close_to_numpy(harness.server, w)
    for i in range(6):
        close_to_numpy(row(harness.received, i), v[i])


def test_apfl_in_numpy():
    """Three rounds of two steps on w_i, v_i and alpha_i, all from where they stand, the gradient at the mixture."""
    harness, lr = by_hand("apfl", local_steps=4, lr=0.3, alpha=0.4), 0.3
    w = in_numpy(harness.server)
    v, alpha = {i: dict(w) for i in range(6)}, dict.fromkeys(range(6), 0.4)
    for cohort in ((0, 1, 4), (1, 5), (0, 1)):
        ends = []
        for i in cohort:
            own = dict(w)
            for _ in range(2):
                mixed = {k: alpha[i] * v[i][k] + (1 - alpha[i]) * own[k] for k in w}
                at_own, at_mixed = (numpy_slope(at, harness.samples(i)) for at in (own, mixed))
                slope = sum(((v[i][k] - own[k]) * at_mixed[k]).sum() for k in w)
                v[i] = {k: a - lr * alpha[i] * at_mixed[k] for k, a in v[i].items()}
                own = {k: a - lr * at_own[k] for k, a in own.items()}
                alpha[i] = min(max(alpha[i] - lr * slope, 0), 1)
            ends.append(own)
        w = {k: sum(end[k] for end in ends) / len(ends) for k in w}
        harness.round(*cohort)
    close_to_numpy(harness.server, w)
    found = harness.state.alpha.rows(harness.clients())["alpha"]
    torch.testing.assert_close(found.double(), torch.tensor(list(alpha.values())).double(), rtol=1e-4, atol=1e-5)
    assert abs(alpha[1] - 0.4) > 1e-3
    for i in range(6):
        close_to_numpy(row(harness.received, i), {k: alpha[i] * v[i][k] + (1 - alpha[i]) * w[k] for k in w})


def test_pfedme_in_numpy():
    """Two rounds of two batches, K = 2 steps towards each proximal point; a server that oversteps the mean."""
    harness = by_hand("pfedme", local_steps=4, inner_steps=2, lr=0.1, personal_lr=0.05, lam=2.0, beta=1.5)
    w = in_numpy(harness.server)
    personal = {i: dict(w) for i in range(6)}
    for cohort in ((0, 1, 4), (1, 5)):
        ends = []
        for i in cohort:
            own = dict(w)
            for _ in range(2):
                theta = dict(own)
                for _ in range(2):
                    g = numpy_slope(theta, harness.samples(i))
                    theta = {k: a - 0.05 * (g[k] + 2.0 * (a - own[k])) for k, a in theta.items()}
                own = {k: a - 0.1 * 2.0 * (a - theta[k]) for k, a in own.items()}
            ends.append(own)
            personal[i] = theta
        w = {k: (1 - 1.5) * a + 1.5 * sum(end[k] for end in ends) / len(ends) for k, a in w.items()}
        harness.round(*cohort)
    close_to_numpy(harness.server, w)
    for i in range(6):
        close_to_numpy(row(harness.received, i), personal[i])


def test_fedalas_weights_are_each_clients_own():
    """Whoever else visits, before or beside it, a client's W and old top layers are its own."""
    harness = after("fedala", rounds=0, lr=0.2, eta=3.0, first_steps=4)
    for cohort in ((0, 1), (0, 1)):
        harness.round(*cohort)
    first, old = (part.rows(harness.clients(0, 1)) for part in (harness.state.W, harness.state.old))
    differ(row(first, 0), row(first, 1))
    differ(row(old, 0), row(old, 1))
    assert all((t == 1).all() for t in harness.state.W.rows(harness.clients(2, 3, 4, 5)).values())
    harness.round(2, 3)
    harness.round(1, 4)
    same(row(harness.state.W.rows(harness.clients(0)), 0), row(first, 0))
    same(row(harness.state.old.rows(harness.clients(0)), 0), row(old, 0))


def test_superfed_that_never_mixes_is_fedprox():
    config = {"lr": 0.05, "mu": 0.5}
    harness = after("superfed", rounds=2, start=1.0, **config)
    same(harness.server, after("fedprox", rounds=2, **config).server)
    same(row(harness.received, 2), harness.server)
    differ(after("superfed", rounds=2, start=0.0, **config).server, harness.server)
    assert harness.method.selected_from == 1.0, "until then nothing is personal"


def test_superfed_by_hand():
    """Two visits of two steps by autograd of the whole loss, with a lambda of its own for every step."""
    figures = {"mu": 0.3, "nu": 2.0, "start": 0.0, "served": 0.7}
    harness = by_hand("superfed", local_steps=2, lr=0.2, **figures, **PLAIN)
    w, net, clients = harness.server, harness.group.model.evaluating(), (0, 2, 5)
    v, sizes = dict.fromkeys(clients, harness.state.own.default), harness.fed.sizes[[0, 2, 5]]
    differ(w, v[0])
    flat = lambda params: torch.cat([params[k].flatten() for k in w])  # noqa: E731
    for number in range(2):
        shares = harness.fed.generator("lambda", number).random((6, 2))
        ends = []
        for i in clients:
            own, (x, y) = w, harness.samples(i)
            for step in range(2):
                share = float(shares[i, step])
                a, b = ({k: t.clone().requires_grad_() for k, t in model.items()} for model in (own, v[i]))
                loss = F.cross_entropy(net({k: (1 - share) * a[k] + share * b[k] for k in w}, x), y)
                loss = loss + 0.3 / 2 * (flat(a) - flat(w)).square().sum()
                loss = loss + 2.0 * F.cosine_similarity(flat(a), flat(b), dim=0).square()
                found = torch.autograd.grad(loss, [*a.values(), *b.values()])
                moved = [t.detach() - 0.2 * g for t, g in zip((*a.values(), *b.values()), found, strict=True)]
                own, v[i] = dict(zip(w, moved[:4], strict=True)), dict(zip(w, moved[4:], strict=True))
            ends.append(own)
        w = {k: sum(s * end[k] for s, end in zip(sizes / sizes.sum(), ends, strict=True)) for k in w}
        harness.round(*clients)
    close(harness.server, w)
    for i in clients:
        close(row(harness.received, i), {k: 0.3 * w[k] + 0.7 * v[i][k] for k in w})
    same(row(harness.received, 1), harness.server)
    assert harness.costs.local_steps == 2 * 3 * 2, "both models move by one gradient"


def test_superfeds_penalty_descends():
    """The slopes of cos^2 by autograd, also where it is large."""
    draw = torch.Generator().manual_seed(0)
    w = {k: torch.randn(shape, generator=draw) for k, shape in (("a", (3, 2)), ("b", (4,)))}
    v = {k: t + 0.5 * torch.randn(t.shape, generator=draw) for k, t in w.items()}
    leaves = [t.requires_grad_() for t in (*w.values(), *v.values())]
    flat = [torch.cat([t.flatten() for t in model.values()]) for model in (w, v)]
    expected = torch.autograd.grad(F.cosine_similarity(*flat, dim=0).square(), leaves)
    found = superfed.squared_cosine_slopes(w, v)
    for ours, theirs in zip((*found[0].values(), *found[1].values()), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
