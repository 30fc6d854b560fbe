"""Methods that are special cases of others must be so bit by bit (DESIGN.md, section 9)."""

from dataclasses import dataclass

import pytest
import torch
from pfl_bench.methods.per_fedavg import MetaGradient
from pfl_bench.methods.pfedme import ProximalStep

from pfl_bench.client.batches import Batch
from pfl_bench.client.losses import GradientRule, cross_entropy
from pfl_bench.client.sgd import Sgd
from pfl_bench.engine.simulator import draw_cohort
from pfl_bench.registry import METHODS
from pfl_bench.spec.options import Options
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import tiny_setup

ROUNDS = 4


def after(method, local_steps=10, batch_size=8, rounds=ROUNDS, backend="loop", **config) -> Harness:
    """A method after a few rounds, which are its whole budget."""
    cohort = tiny_setup().spec(method, **config).config.cohort
    setup = tiny_setup().but(local_steps=local_steps, batch_size=batch_size, visits=max(1, rounds) * cohort)
    return Harness(method, setup, rounds=rounds, options=Options(backend=backend), **config)


def assert_same(a, b, exact: bool = True):
    assert set(a) == set(b)
    for name in a:
        if exact:
            assert torch.equal(a[name], b[name]), name
        else:
            torch.testing.assert_close(a[name], b[name], rtol=1e-4, atol=1e-5)


def assert_different(a, b):
    assert any(not torch.allclose(a[name], b[name], atol=1e-4) for name in a)


def rows_of(shared, clients: int):
    return {name: tensor.expand(clients, *tensor.shape) for name, tensor in shared.items()}


def test_fedprox_without_mu_is_fedavg():
    assert_same(after("fedprox", mu=0.0).server, after("fedavg").server)
    assert_different(after("fedprox", mu=1.0).server, after("fedavg").server)


def test_ditto_without_lambda_is_local():
    """Ditto gives half of 20 local steps to the personal model: the batches of Local with 10."""
    assert_same(after("ditto", local_steps=20, lam=0.0).received, after("local").received)
    assert_different(after("ditto", local_steps=20, lam=2.0).received, after("local").received)


def test_dittos_federated_model_is_fedavg():
    assert_same(after("ditto", local_steps=20, lam=1.0).server, after("fedavg").server)


def test_fedper_with_everything_personal_is_local():
    assert_same(after("fedper", personal_layers=2).received, after("local").received)


def test_fedper_with_nothing_personal_is_fedavg():
    assert_same(after("fedper", personal_layers=0).received, rows_of(after("fedavg").server, 6))


def test_fedper_is_neither_by_default():
    assert_different(after("fedper").received, after("local").received)
    assert_different(after("fedper").received, rows_of(after("fedavg").server, 6))


def test_lg_fedavg_with_everything_shared_is_fedavg():
    assert_same(after("lg_fedavg", shared_layers=2, warm_start=0).received, rows_of(after("fedavg").server, 6))


def test_lg_fedavg_with_nothing_shared_is_local():
    assert_same(after("lg_fedavg", shared_layers=0, warm_start=0).received, after("local").received)


def test_lg_fedavg_that_never_ends_its_warm_start_is_fedavg():
    assert_same(after("lg_fedavg", warm_start=1.0).received, rows_of(after("fedavg").server, 6))


def test_lg_fedavg_shares_the_head_and_fedper_the_body():
    harness = after("lg_fedavg", warm_start=0.5)
    assert harness.method.selected_from == 0.5, "until then it is FedAvg"
    head = harness.fed.model.head
    shared = {n for n, t in harness.received.items() if all(torch.equal(t[0], row) for row in t)}
    assert shared == set(head)
    harness = after("fedper")
    shared = {n for n, t in harness.received.items() if all(torch.equal(t[0], row) for row in t)}
    assert shared == set(harness.received) - set(head)


def test_fedavg_ft_trains_as_fedavg_and_adapts_on_training_data():
    harness = after("fedavg_ft")
    assert_same(harness.server, after("fedavg").server)
    assert_different(harness.adapted, rows_of(harness.server, 6))


@dataclass(frozen=True)
class OuterOnly(GradientRule):
    """Plain SGD on the second batch of each step."""

    @property
    def draws(self):
        return 2

    @property
    def gradients(self):
        return 2

    def __call__(self, gradient, params, batches, aux, carry):
        return gradient(params, batches[1]), carry


def test_per_fedavg_without_alpha_is_fedavg_on_the_outer_batches():
    """With alpha = 0 the inner step goes nowhere: plain SGD with rate beta on the second batch of each step."""
    harness = after("per_fedavg", rounds=1, alpha=0.0, beta=0.05)
    fed, cohort = harness.federation("train", round=0), harness.clients(*draw_cohort(0, 0, 6, 5))
    sgd = fed.train_and_average(fed.init_params(), cohort, Sgd(0.05), weights="uniform", rule=OuterOnly())
    assert_same(harness.server, sgd)


def test_per_fedavg_hessian_free_is_the_exact_meta_gradient():
    """(I - alpha H) g by double backward against the central difference, in double precision."""
    torch.manual_seed(0)
    params = {"w": torch.randn(5, 3, dtype=torch.float64)}
    batches = tuple(
        Batch(torch.randn(7, 5, dtype=torch.float64), torch.randint(0, 3, (7,)), torch.ones(7, dtype=torch.float64))
        for _ in range(3)
    )

    def loss(w, batch):
        return cross_entropy(lambda p, x: x.tanh() @ p["w"].square(), {"w": w}, batch)

    def gradient(at, batch):
        return {"w": torch.func.grad(loss)(at["w"], batch)}

    found, _ = MetaGradient(alpha=0.3, delta=1e-4)(gradient, params, batches, None, None)
    w = params["w"]
    g = torch.func.grad(loss)(w - 0.3 * torch.func.grad(loss)(w, batches[0]), batches[1])
    _, product = torch.func.jvp(lambda v: torch.func.grad(loss)(v, batches[2]), (w,), (g,))
    torch.testing.assert_close(found["w"], g - 0.3 * product, rtol=1e-5, atol=1e-7)


def test_per_fedavg_hessian_free_agrees_on_both_backends():
    """The central difference magnifies rounding; the tolerance is the conformance kit's."""
    harnesses = [after("per_fedavg", local_steps=12, variant="hf", beta=0.05, backend=b) for b in ("loop", "vmap")]
    for name, tensor in harnesses[0].server.items():
        torch.testing.assert_close(tensor, harnesses[1].server[name], rtol=1e-3, atol=1e-4)
    assert harnesses[0].costs.local_steps == 4 * 5 * 12, "a meta-step costs four gradients"


def test_per_fedavg_adapts_by_one_alpha_step():
    harness = after("per_fedavg", alpha=0.05)
    fed, everyone = harness.federation("adapt"), harness.clients()
    adapted = harness.adapted
    by_hand = fed.train(fed.send(harness.server, everyone), everyone, Sgd(0.05), steps=1)
    assert_same(adapted, by_hand.params)
    assert harness.costs.adapt_steps == 2 * 6


def test_pfedme_personal_models_are_copies_and_not_the_server_model():
    """The authors' code scores w_i instead of theta_i (methods.md, section 9)."""
    harness = after("pfedme")
    before = {n: t.clone() for n, t in harness.received.items()}
    harness.state.server = harness.state.server.map(lambda t: t.add_(1))
    assert_same(harness.received, before)
    assert_different(harness.received, rows_of(harness.server, 6))


def test_pfedme_steps_towards_the_proximal_point():
    """One local round by hand: K steps to theta, then w - lr lam (w - theta)."""
    grads = iter([{"w": torch.tensor([1.0])}, {"w": torch.tensor([-2.0])}, {"w": torch.tensor([0.5])}])
    w = {"w": torch.tensor([1.0])}
    rule = ProximalStep(lam=2.0, lr=0.1, inner_steps=3)
    direction, theta = rule(lambda at, batch: next(grads), w, (None,), None, None)
    expected = 1.0
    for g in (1.0, -2.0, 0.5):
        expected -= 0.1 * (g + 2.0 * (expected - 1.0))
    assert theta["w"].item() == pytest.approx(expected)
    assert direction["w"].item() == pytest.approx(2.0 * (1.0 - expected))
    assert rule.gradients == 3


def test_fedavg_with_everyone_one_step_and_full_batches_is_gradient_descent():
    harness = after("fedavg", local_steps=1, batch_size=200, rounds=5, cohort=6, lr=0.1, momentum=0, weight_decay=0)
    params = {name: t.clone().requires_grad_() for name, t in harness.fed.init_params().items()}
    x, y = (torch.cat(own) for own in zip(*(harness.samples(client) for client in range(6)), strict=True))
    for _ in range(5):
        loss = torch.nn.functional.cross_entropy(harness.fed.model.evaluating()(params, x), y)
        gradients = torch.autograd.grad(loss, list(params.values()))
        with torch.no_grad():
            for tensor, gradient in zip(params.values(), gradients, strict=True):
                tensor -= 0.1 * gradient
    assert_same(harness.server, {n: t.detach() for n, t in params.items()}, exact=False)


def test_equal_initial_weights_and_cohorts_for_all_methods():
    first = Harness("fedavg").fed.init_params()
    for name in METHODS.names():
        assert_same(Harness(name).fed.init_params(), first)
