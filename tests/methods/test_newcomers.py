"""Clients never seen in training: what each method's rule for them does, by hand on full batches."""

import pytest
import torch
import torch.nn.functional as F
from pfl_bench.methods import gpfl
from pfl_bench.methods._hypernetwork import generate

from pfl_bench.api import Served
from pfl_bench.testing.harness import Harness
from tests.methods.rounds import PLAIN, by_hand, close, differ, down, row, slopes

WHO = 4


def of_newcomer(harness: Harness, steps: int = 2) -> Served:
    """What the method serves its own clients, taken as newcomers with so many steps."""
    fed = harness.federation("enroll", local_steps=steps)
    found = harness.method.enroll(fed, harness.state, fed.everyone)
    return found if isinstance(found, Served) else Served(found)


def trained(name: str, **config) -> Harness:
    """A method after a visit of two clients that are not the newcomer."""
    harness = by_hand(name, local_steps=8, **config)
    harness.round(0, 1)
    return harness


@pytest.mark.parametrize(("name", "shared"), [("ditto", "server"), ("mr_mtl", "mean")])
def test_a_personal_model_is_fitted_from_the_shared_one_and_towards_it(name, shared):
    harness = trained(name, lr=0.1, lam=3.0, **PLAIN)
    w = getattr(harness.state, shared)
    at = dict(w)
    for _ in range(2):
        g = slopes(harness, WHO, at)
        at = {k: t - 0.1 * (g[k] + 3.0 * (t - w[k])) for k, t in at.items()}
    close(row(of_newcomer(harness).params, WHO), at)


def test_l2gd_ends_with_its_step_towards_the_mean():
    harness = trained("l2gd", lr=0.1, lam=2.0)
    at = w = dict(harness.state.mean)
    for _ in range(2):
        at = down(at, slopes(harness, WHO, at), 0.1)
    close(row(of_newcomer(harness).params, WHO), {k: 0.6 * t + 0.4 * w[k] for k, t in at.items()})


def test_apfl_mixes_what_it_fitted_with_what_it_received():
    harness, alpha, lr = trained("apfl", lr=0.2, alpha=0.3), 0.3, 0.2
    w = harness.server
    own, v = dict(w), dict(w)
    for _ in range(2):
        mixed = {k: alpha * v[k] + (1 - alpha) * own[k] for k in w}
        g, at_mixed = slopes(harness, WHO, own), slopes(harness, WHO, mixed)
        slope = sum(float(((v[k] - own[k]) * at_mixed[k]).sum()) for k in w)
        v, own = down(v, at_mixed, lr * alpha), down(own, g, lr)
        alpha -= lr * slope
    close(row(of_newcomer(harness, 4).params, WHO), {k: alpha * v[k] + (1 - alpha) * w[k] for k in w})


def test_superfed_serves_the_mixture_of_the_received_model_and_the_fitted_one():
    quarter, whole = (trained("superfed", lr=0.1, start=0.0, served=share, **PLAIN) for share in (0.25, 1.0))
    w, part, own = quarter.server, row(of_newcomer(quarter).params, WHO), row(of_newcomer(whole).params, WHO)
    close(part, {k: 0.75 * w[k] + 0.25 * own[k] for k in w})
    differ(own, w)


@pytest.mark.parametrize(("name", "config", "steps"), [("fedas", {}, 2), ("fedselect", {"alternations": 1}, 4)])
def test_steps_from_what_is_shared_where_nothing_is_personal_yet(name, config, steps):
    """FedSelect's first turns are on weights that are own, of which a newcomer has none."""
    harness = trained(name, lr=0.1, **(config or PLAIN))
    shared = harness.state.server if name == "fedselect" else harness.state.body | harness.state.heads.default
    at = dict(shared)
    for _ in range(2):
        at = down(at, slopes(harness, WHO, at), 0.1)
    close(row(of_newcomer(harness, steps).params, WHO), at)


def test_fedproto_trains_the_initial_model_towards_the_prototypes():
    harness = trained("fedproto", lr=0.1, lam=2.0, **PLAIN)
    prototypes, at = harness.state.prototypes, harness.fed.init_params()

    def aligned(net, params, batch):
        z = net.features(params, batch.x)
        pull = ((z - prototypes["mean"][batch.y]) ** 2).mean(1) * prototypes["known"][batch.y]
        return F.cross_entropy(net.head(params, z), batch.y) + 2.0 * pull.mean()

    for _ in range(2):
        at = down(at, slopes(harness, WHO, at, aligned), 0.1)
    close(row(of_newcomer(harness).params, WHO), at)


def test_feddecomp_fits_factors_only():
    harness = trained("feddecomp", lr=0.2, linear_rank=1, **PLAIN)
    found, sigma = row(of_newcomer(harness).params, WHO), harness.state.server
    assert torch.equal(found["hidden.bias"], sigma["hidden.bias"])
    apart = found["hidden.weight"] - sigma["hidden.weight"]
    assert apart.norm() > 1e-3 and torch.linalg.matrix_rank(apart, rtol=1e-3) == 1


def test_gpfl_fits_a_fresh_head_on_features_that_stay():
    harness = trained("gpfl", lr=0.03, **PLAIN)  # at larger rates the first step leaves nothing to learn
    served = of_newcomer(harness)
    shared, head = harness.state.body | harness.state.guide, harness.state.heads.default

    def loss(net, params, batch):
        return F.cross_entropy(gpfl.valved(net, {**shared, **params}, batch.x, served.aux[WHO]), batch.y)

    at = dict(head)
    for _ in range(2):
        at = down(at, slopes(harness, WHO, at, loss), 0.03)
    close(row(served.params, WHO), {**shared, **at})


def test_fedcp_fits_a_head_only_from_the_shared_one():
    harness = trained("fedcp", lr=0.3, **PLAIN)
    found, head = row(of_newcomer(harness).params, WHO), harness.fed.model.head
    shared = harness.state.server | harness.state.gate
    for name in shared:
        assert torch.equal(found[name], shared[name]) == (name not in head)


@pytest.mark.parametrize("name", ["pfedhn", "pfedhn_pc"])
def test_pfedhn_fits_an_embedding_from_the_mean_one_and_a_fresh_head_each_at_its_own_rate(name):
    config = {"embedding": 3, "hidden": 6, "lr": 0.3, "inner_lr": 0.1, "inner_momentum": 0.0, "clip_norm": 1e6}
    outer = {"momentum": 0.0, "weight_decay": 0.0, "inner_weight_decay": 0.0}
    harness = trained(name, **config, **outer)
    phi, shapes = harness.state.phi, dict(harness.fed.model.shapes)
    head = harness.state.heads.default if name == "pfedhn_pc" else {}
    shapes = {k: shape for k, shape in shapes.items() if k not in head}
    at = {"embedding": phi["embedding"].mean(0), **head}

    def made(params):
        return {k: t[0] for k, t in generate(phi, params["embedding"].unsqueeze(0), shapes).items()}

    def loss(net, params, batch):
        return F.cross_entropy(net({**made(params), **{k: params[k] for k in head}}, batch.x), batch.y)

    for _ in range(2):
        g = slopes(harness, WHO, at, loss)
        at = {k: t - (0.3 if k == "embedding" else 0.1) * g[k] for k, t in at.items()}
    close(row(of_newcomer(harness).params, WHO), {**made(at), **{k: at[k] for k in head}})


def test_hyperfl_fits_embedding_and_head_with_the_hypernetwork_as_it_is():
    harness = trained("hyperfl", lr=0.02, head_lr=0.03, embedding=4, hidden=5, **PLAIN)
    phi, own = harness.state.phi, harness.state.own.default
    shapes, at, head = harness.method.shapes(harness.fed), dict(own), harness.fed.model.head

    def made(params):
        hidden = F.relu(phi["trunk.0.weight"] @ params["embedding"] + phi["trunk.0.bias"])
        return {k: (phi[f"head.{k}.weight"] @ hidden + phi[f"head.{k}.bias"]).view(s) for k, s in shapes.items()}

    def loss(net, params, batch):
        return F.cross_entropy(net({**made(params), **{k: params[k] for k in head}}, batch.x), batch.y)

    for _ in range(2):
        g = slopes(harness, WHO, at, loss)
        at = {k: t - (0.02 if k == "embedding" else 0.03) * g[k] for k, t in at.items()}
    close(row(of_newcomer(harness).params, WHO), {**made(at), **{k: at[k] for k in head}})
