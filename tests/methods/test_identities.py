"""Methods that are special cases of others must be so bit by bit (DESIGN.md, section 9)."""

import numpy as np
import pytest
import torch

from pfl_bench.client.training import Sgd
from pfl_bench.engine.places import build_federation
from pfl_bench.engine.simulator import draw_cohort
from pfl_bench.registry import METHODS
from pfl_bench.spec.run import RunSpec, make_config
from pfl_bench.testing.kit import tiny_arena

ROUNDS = 4


class Trace:
    """A method after a few rounds on the tiny scenario, and the federation it met."""

    def __init__(self, name, local_steps=10, batch_size=8, rounds=ROUNDS, backend="loop", **config):
        self.arena = tiny_arena()
        scenario = self.arena.scenario.model_copy(update={"local_steps": local_steps, "batch_size": batch_size})
        spec = RunSpec(name, make_config(name, config, "test"), scenario, 0)
        self.fed = build_federation(spec, self.arena.dataset, self.arena.partition, torch.device("cpu"), backend)
        self.method = METHODS.get(name)(spec.config)
        self.state = self.method.init(self.fed)
        for round in range(rounds):
            cohort = torch.from_numpy(draw_cohort(0, round, self.fed.clients, spec.config.cohort))
            at = self.fed.at(round, round / rounds, "train", self.fed.costs)
            self.state = self.method.round(at, self.state, cohort)

    @property
    def received(self):
        return self.method.client_params(self.fed, self.state, self.fed.everyone)

    @property
    def server(self):
        return self.method.global_params(self.fed, self.state)


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
    assert_same(Trace("fedprox", mu=0.0).server, Trace("fedavg").server)
    assert_different(Trace("fedprox", mu=1.0).server, Trace("fedavg").server)


def test_ditto_without_lambda_is_local():
    """Ditto gives half of 20 local steps to the personal model: the batches of Local with 10."""
    assert_same(Trace("ditto", local_steps=20, lam=0.0).received, Trace("local").received)
    assert_different(Trace("ditto", local_steps=20, lam=2.0).received, Trace("local").received)


def test_dittos_federated_model_is_fedavg():
    assert_same(Trace("ditto", local_steps=20, lam=1.0).server, Trace("fedavg").server)


def test_fedper_with_everything_personal_is_local():
    assert_same(Trace("fedper", personal_layers=2).received, Trace("local").received)


def test_fedper_with_nothing_personal_is_fedavg():
    assert_same(Trace("fedper", personal_layers=0).received, rows_of(Trace("fedavg").server, 6))


def test_fedper_is_neither_by_default():
    assert_different(Trace("fedper").received, Trace("local").received)
    assert_different(Trace("fedper").received, rows_of(Trace("fedavg").server, 6))


def test_lg_fedavg_with_everything_shared_is_fedavg():
    assert_same(Trace("lg_fedavg", shared_layers=2, warm_start=0).received, rows_of(Trace("fedavg").server, 6))


def test_lg_fedavg_with_nothing_shared_is_local():
    assert_same(Trace("lg_fedavg", shared_layers=0, warm_start=0).received, Trace("local").received)


def test_lg_fedavg_that_never_ends_its_warm_start_is_fedavg():
    assert_same(Trace("lg_fedavg", warm_start=1.0).received, rows_of(Trace("fedavg").server, 6))


def test_lg_fedavg_shares_the_head_and_fedper_the_body():
    trace = Trace("lg_fedavg", warm_start=0.5)
    head = trace.fed.model.head
    shared = {n for n, t in trace.received.items() if all(torch.equal(t[0], row) for row in t)}
    assert shared == set(head)
    trace = Trace("fedper")
    shared = {n for n, t in trace.received.items() if all(torch.equal(t[0], row) for row in t)}
    assert shared == set(trace.received) - set(head)


def test_fedavg_ft_trains_as_fedavg_and_adapts_on_training_data():
    trace = Trace("fedavg_ft")
    assert_same(trace.server, Trace("fedavg").server)
    adapted = trace.method.adapt(trace.fed.at(0, 0, "evaluate", trace.fed.costs), trace.state, trace.fed.everyone)
    assert_different(adapted, rows_of(trace.server, 6))


def test_per_fedavg_without_alpha_is_fedavg_on_the_outer_batches():
    """With alpha = 0 the inner step goes nowhere: plain SGD with rate beta on the second batch of each step."""
    trace = Trace("per_fedavg", rounds=0, alpha=0.0, beta=0.05)
    cohort, start = torch.tensor([0, 3]), trace.fed.init_params()

    def outer_only(gradient, params, batches, aux, memory):
        return gradient(params, batches[1]), memory

    options = {"draws": 2, "gradients_per_step": 2}
    meta = trace.fed.train(trace.fed.send(start, cohort), cohort, Sgd(0.05), rule=trace.method.meta_gradient, **options)
    sgd = trace.fed.train(trace.fed.send(start, cohort), cohort, Sgd(0.05), rule=outer_only, **options)
    assert_same(meta.params, sgd.params)


def test_per_fedavg_hessian_free_is_the_exact_meta_gradient():
    """(I - alpha H) g by double backward against the central difference, in double precision."""
    from pfl_bench.client.training import Batch, cross_entropy

    method = Trace("per_fedavg", rounds=0, alpha=0.3, delta=1e-4, variant="hf").method
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

    found, _ = method.meta_gradient(gradient, params, batches, None, None)
    w = params["w"]
    g = torch.func.grad(loss)(w - 0.3 * torch.func.grad(loss)(w, batches[0]), batches[1])
    _, product = torch.func.jvp(lambda v: torch.func.grad(loss)(v, batches[2]), (w,), (g,))
    torch.testing.assert_close(found["w"], g - 0.3 * product, rtol=1e-5, atol=1e-7)


def test_per_fedavg_hessian_free_agrees_on_both_backends():
    """The central difference magnifies rounding; the tolerance is the conformance kit's."""
    traces = [Trace("per_fedavg", local_steps=12, variant="hf", beta=0.05, backend=b) for b in ("loop", "vmap")]
    for name, tensor in traces[0].server.items():
        torch.testing.assert_close(tensor, traces[1].server[name], rtol=1e-3, atol=1e-4)
    assert traces[0].fed.costs.local_steps == 4 * 5 * 12, "a meta-step costs four gradients"


def test_per_fedavg_adapts_by_one_alpha_step():
    trace = Trace("per_fedavg", alpha=0.05)
    looking = trace.fed.at(0, 0.0, "evaluate", trace.fed.costs)
    adapted = trace.method.adapt(looking, trace.state, trace.fed.everyone)
    by_hand = looking.train(looking.send(trace.server, trace.fed.everyone), trace.fed.everyone, Sgd(0.05), steps=1)
    assert_same(adapted, by_hand.params)
    assert trace.fed.costs.adapt_steps == 2 * 6


def test_pfedme_personal_models_are_copies_and_not_the_server_model():
    """The authors' code scores w_i instead of theta_i (methods.md, section 9)."""
    trace = Trace("pfedme")
    before = {n: t.clone() for n, t in trace.received.items()}
    trace.state.server = trace.state.server.map(lambda t: t.add_(1))
    assert_same(trace.received, before)
    assert_different(trace.received, rows_of(trace.server, 6))


def test_pfedme_steps_towards_the_proximal_point():
    """One local round by hand: K steps to theta, then w - lr lam (w - theta)."""
    trace = Trace("pfedme", rounds=0, lam=2.0, inner_steps=3, personal_lr=0.1, lr=0.5)
    grads = iter([{"w": torch.tensor([1.0])}, {"w": torch.tensor([-2.0])}, {"w": torch.tensor([0.5])}])
    w = {"w": torch.tensor([1.0])}
    direction, theta = trace.method.proximal_step(lambda at, batch: next(grads), w, (None,), None, None)
    expected = 1.0
    for g in (1.0, -2.0, 0.5):
        expected -= 0.1 * (g + 2.0 * (expected - 1.0))
    assert theta["w"].item() == pytest.approx(expected)
    assert direction["w"].item() == pytest.approx(2.0 * (1.0 - expected))


def test_fedavg_with_everyone_one_step_and_full_batches_is_gradient_descent():
    trace = Trace("fedavg", local_steps=1, batch_size=200, rounds=5, cohort=6, lr=0.1, momentum=0, weight_decay=0)
    fed = trace.fed
    params = {name: t.clone().requires_grad_() for name, t in fed.init_params().items()}
    x, y = fed.pool.gather(torch.from_numpy(np.concatenate(fed.members)))
    for _ in range(5):
        loss = torch.nn.functional.cross_entropy(fed.model.apply(params, x), y)
        gradients = torch.autograd.grad(loss, list(params.values()))
        with torch.no_grad():
            for tensor, gradient in zip(params.values(), gradients, strict=True):
                tensor -= 0.1 * gradient
    assert_same(trace.server, {n: t.detach() for n, t in params.items()}, exact=False)


def test_equal_initial_weights_and_cohorts_for_all_methods():
    first = Trace("fedavg", rounds=0).fed.init_params()
    for name in METHODS.names():
        assert_same(Trace(name, rounds=0).fed.init_params(), first)
