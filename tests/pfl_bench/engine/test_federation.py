"""What a method sees of the world, and what is counted."""

from dataclasses import dataclass

import pytest
import torch

from pfl_bench.client.backends import BACKENDS
from pfl_bench.client.losses import GradientRule, cross_entropies
from pfl_bench.client.params import Params, stacked
from pfl_bench.client.sgd import Sgd
from pfl_bench.engine import clients as clients_module
from pfl_bench.engine.meter import BudgetError
from pfl_bench.errors import UnsuitedError
from pfl_bench.spec.options import Options
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import ragged_setup

SGD = Sgd(0.1)


@dataclass(frozen=True)
class First(GradientRule):
    """The plain gradient of the first batch, at a cost."""

    batches: int = 1
    cost: int = 1

    @property
    def draws(self):
        return self.batches

    @property
    def gradients(self):
        return self.cost

    def __call__(self, gradient, params, batches, aux, carry):
        return gradient(params, batches[0]), carry


@pytest.fixture
def harness():
    return Harness("fedavg")


@pytest.fixture
def fed(harness):
    return harness.fed


@pytest.fixture
def cohort(harness):
    return harness.clients(4, 1)


def test_average_is_weighted_by_samples(fed, cohort):
    values = Params({"w": torch.tensor([[1.0], [3.0]])})
    n = fed.sizes[cohort]
    expected = (n[0] * 1 + n[1] * 3) / n.sum()
    torch.testing.assert_close(fed.average(values, cohort)["w"], expected.view(1))
    torch.testing.assert_close(fed.average(values, cohort, "uniform")["w"], torch.tensor([2.0]))


def test_traffic_is_metered_in_bytes_and_not_while_evaluating(harness, fed, cohort):
    params = fed.init_params()
    fed.collect(fed.send(params, cohort).only(fed.model.head))
    head = sum(params[name].numel() for name in fed.model.head)
    assert fed.costs.bytes_down == 2 * 4 * fed.model.size
    assert fed.costs.bytes_up == 2 * 4 * head
    for phase in ("evaluate", "adapt", "enroll"):
        looking = harness.federation(phase)
        looking.collect(looking.send(params, cohort))
    assert fed.costs.bytes_down == 2 * 4 * fed.model.size


def test_what_is_sent_never_aliases_the_server_s_state(fed, cohort):
    server = fed.init_params()
    before = server.map(torch.clone)
    each = stacked(server, 2)
    for sent in (fed.send(server, cohort), fed.send_each(each), fed.send_each(each.map(torch.clone))):
        for tensor in sent.values():
            tensor.add_(1)
            assert tensor.is_contiguous()
    assert all(torch.equal(server[name], before[name]) for name in server)


def test_work_is_counted(harness, fed, cohort):
    start = fed.send(fed.init_params(), cohort)
    fed.train(start, cohort, SGD, steps=3, rule=First(batches=2, cost=2))
    assert fed.costs.local_steps == 2 * 3 * 2
    assert fed.costs.samples == 2 * 3 * 2 * 8
    harness.federation("adapt").train(start, cohort, SGD, steps=3)
    assert (fed.costs.local_steps, fed.costs.adapt_steps) == (12, 6)


def test_the_costs_a_method_sees_are_a_copy(fed, cohort):
    fed.train(fed.send(fed.init_params(), cohort), cohort, SGD, steps=1)
    fed.costs.local_steps = 0
    assert fed.costs.local_steps == 2


def test_default_steps_spend_the_visit(fed, cohort):
    start = fed.send(fed.init_params(), cohort)
    fed.train(start, cohort, SGD, rule=First(cost=3))
    assert fed.costs.local_steps == 2 * (20 // 3) * 3
    with pytest.raises(UnsuitedError, match="local_steps=20 is too few: one step of this method takes 21"):
        fed.train(start, cohort, SGD, rule=First(cost=21))


def test_batches_depend_on_client_round_and_stream_only(harness, fed):
    def trained(at, *ids, **options):
        cohort = harness.clients(*ids)
        start = at.send(at.init_params(), cohort)
        return at.train(start, cohort, SGD, steps=2, **options).params.rows(torch.tensor([0]))

    alone, together = trained(fed, 1), trained(fed, 1, 3, 5)
    torch.testing.assert_close(dict(alone), dict(together))
    later = trained(harness.federation("train", round=7), 1)
    other = trained(fed, 1, stream="other")
    adapting = trained(harness.federation("adapt"), 1)
    for different in (later, other, adapting):
        assert not torch.allclose(alone["hidden.weight"], different["hidden.weight"])


def test_nothing_trainable_changes_nothing(fed, cohort):
    start = fed.send(fed.init_params(), cohort)
    trained = fed.train(start, cohort, SGD, trainable=frozenset())
    assert all(torch.equal(trained.params[k], start[k]) for k in start)
    assert trained.losses.shape == (2, 20) and trained.losses.isnan().all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_client_with_k_steps_is_that_client_alone_with_k_steps(backend):
    harness = Harness("fedavg", options=Options(backend=backend))
    fed, cohort, steps = harness.fed, harness.clients(4, 1, 2), torch.tensor([3, 1, 0])
    start = fed.send(fed.init_params(), cohort)
    together = fed.train(start, cohort, SGD, steps=steps)
    assert fed.costs.local_steps == 4 and together.losses.shape == (3, 3)
    for position, (client, own) in enumerate(((4, 3), (1, 1))):
        one = harness.clients(client)
        alone = fed.train(fed.send(fed.init_params(), one), one, SGD, steps=own)
        for name, tensor in alone.params.items():
            torch.testing.assert_close(together.params[name][position], tensor[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.losses[position, :own], alone.losses[0], rtol=1e-4, atol=1e-5)
        assert together.losses[position, own:].isnan().all()
    assert all(torch.equal(together.params[name][2], start[name][2]) for name in start)


def test_nobody_trains_while_models_are_evaluated(harness, cohort):
    fed = harness.federation("evaluate")
    with pytest.raises(BudgetError, match=r"fed.train while models are evaluated .* train in round, or in adapt"):
        fed.train(fed.send(fed.init_params(), cohort), cohort, SGD)
    with pytest.raises(BudgetError, match="takes derivatives while models are evaluated"):
        fed.compute(slope_of_bias, fed.send(fed.init_params(), cohort), cohort, over=1, gradients=True)
    fed.compute(class_sums, fed.send(fed.init_params(), cohort), cohort)


def test_losses_rules_and_functions_must_be_values(fed, cohort):
    start = fed.send(fed.init_params(), cohort)
    with pytest.raises(TypeError, match="loss="):
        fed.train(start, cohort, SGD, loss=lambda net, params, batch, aux: 0.0)
    with pytest.raises(TypeError, match="rule="):
        fed.train(start, cohort, SGD, rule=First(1, 1).__call__)
    with pytest.raises(TypeError, match="function="):
        fed.compute(lambda net, params, batch, aux: batch.y, start, cohort)


def test_steps_must_be_at_least_one(fed, cohort):
    with pytest.raises(ValueError, match="steps=0 must be at least 1"):
        fed.train(fed.send(fed.init_params(), cohort), cohort, SGD, steps=0)


@pytest.mark.parametrize("steps", [[40, -20], [3], [3, 3, 3]])
def test_steps_per_client_are_one_number_each_and_never_less_than_none(fed, cohort, steps):
    """Steps below zero would give back what others spent."""
    with pytest.raises(ValueError, match=r"must be 2 numbers of at least 0, one per client"):
        fed.train(fed.send(fed.init_params(), cohort), cohort, SGD, steps=torch.tensor(steps))


def test_samples_of_steps_that_nobody_took_are_not_counted():
    harness = Harness("fedavg", ragged_setup())
    everyone = harness.clients()
    start = harness.fed.send(harness.fed.init_params(), everyone)
    harness.fed.train(start, everyone, SGD, steps=torch.tensor([1, 0, 2, 5]))
    assert (harness.costs.local_steps, harness.costs.samples) == (8, 1 * 1 + 2 * 3 + 5 * 8)


def test_a_federation_is_read_only_and_keeps_data_out_of_reach(fed):
    with pytest.raises(AttributeError, match="'local_steps' cannot be set"):
        fed.local_steps = 10**6
    with pytest.raises(AttributeError):
        fed.note = "kept outside the state"
    for name in ("pool", "members", "dataset", "partition"):
        assert not hasattr(fed, name)


def test_per_client_copies_do_not_alias(harness, fed):
    clients = fed.per_client(fed.init_params())
    rows = clients.rows(harness.clients(0, 1))
    rows["hidden.bias"][0] += 1
    assert not torch.equal(rows["hidden.bias"][0], rows["hidden.bias"][1])
    assert torch.equal(clients.rows(harness.clients(0))["hidden.bias"][0], rows["hidden.bias"][1])


def test_class_counts_are_those_of_the_training_samples(harness, fed):
    assert fed.class_counts.shape == (6, 3)
    for client in range(6):
        _, y = harness.samples(client)
        assert fed.class_counts[client].tolist() == [int((y == label).sum()) for label in range(3)]
    assert torch.equal(fed.class_counts.sum(1), fed.sizes)


def pixels(net, params, batch, aux):
    """A number per sample, by which it can be told apart."""
    return batch.x.flatten(1).sum(1)


def rows_of(fed, clients):
    found = fed.compute(pixels, stacked(fed.init_params(), len(clients)), clients, reduce="rows")
    return [found[i, : int(fed.sizes[client])].tolist() for i, client in enumerate(clients)]


def test_a_part_is_cut_once_and_for_all(harness):
    early, late = harness.federation("train", round=0), harness.federation("evaluate", round=5)
    rest, held = early.part(0.25)
    everyone = harness.clients()
    for client, (kept, cut, own) in enumerate(
        zip(rows_of(rest, everyone), rows_of(held, everyone), rows_of(early, everyone), strict=True)
    ):
        assert sorted(kept + cut) == sorted(own), "disjoint, and together everything"
        assert len(cut) == round(0.25 * len(own)) and rest.sizes[client] == len(kept)
    later = late.part(0.25)
    assert rows_of(later[1], everyone) == rows_of(held, everyone), "fixed over rounds and phases"
    assert (later[1].phase, later[1].round) == ("evaluate", 5)
    assert rows_of(early.part(0.5)[1], everyone) != rows_of(held, everyone)
    assert torch.equal(rest.class_counts + held.class_counts, early.class_counts)


def test_the_only_sample_of_a_client_is_in_both_parts():
    harness = Harness("fedavg", ragged_setup())
    rest, held = harness.fed.part(0.5)
    assert (rest.sizes[0], held.sizes[0]) == (1, 1)
    assert rows_of(rest, harness.clients(0)) == rows_of(held, harness.clients(0))
    assert (rest.sizes[2], held.sizes[2]) == (1, 2)
    tiny, most = harness.fed.part(0.001), harness.fed.part(0.999)
    assert tiny[1].sizes.min() >= 1 and most[0].sizes.min() >= 1


def test_parts_count_on_the_same_meter(harness, fed, cohort):
    rest, held = fed.part(0.25)
    rest.train(rest.send(rest.init_params(), cohort), cohort, SGD, steps=2)
    held.compute(class_sums, stacked(fed.init_params(), 2), cohort)
    assert harness.costs.local_steps == 4
    assert harness.costs.forward_samples == held.sizes[cohort].sum()


@pytest.mark.parametrize("share", [0, 1, -0.5, 2.0])
def test_a_share_that_is_none_is_refused(fed, share):
    with pytest.raises(ValueError, match=rf"share={share!r} must be above 0 and below 1"):
        fed.part(share)


def class_sums(net, params, batch, aux):
    """Features summed per class, and how many there were."""
    z = net.features(params, batch.x)
    one_hot = torch.nn.functional.one_hot(batch.y, 3).float() * batch.weight.unsqueeze(1)
    return {"sums": one_hot.T @ z, "counts": one_hot.sum(0)}


def shifted_losses(net, params, batch, aux):
    """Cross-entropy per sample of logits moved by ``aux``; twice, for the count's sake."""
    net(params, batch.x)
    return cross_entropies(net(params, batch.x) + aux, batch.y)


def slope_of_bias(net, params, batch, aux):
    def loss(bias):
        return (cross_entropies(net({**params, "head.bias": bias}, batch.x), batch.y) * batch.weight).sum()

    return torch.func.grad(loss)(params["head.bias"])


def slope_by_autograd(net, params, batch, aux):
    with torch.enable_grad():
        return net(params, batch.x).sum()


@pytest.fixture(params=list(BACKENDS))
def ragged(request):
    """Clients with 1, 20, 3 and 48 samples."""
    return Harness("fedavg", ragged_setup(), options=Options(backend=request.param))


def models_of(harness, k: int) -> Params:
    """``k`` models for every client, ``[c, k, ...]``, all of them different."""
    params = harness.fed.init_params()
    factors = 1 + torch.arange(4 * k).view(4, k) / 10
    return params.map(lambda p: p * factors.view(4, k, *[1] * p.dim()))


@pytest.mark.parametrize("chunk", [5, 1024])
def test_compute_sums_over_all_samples(ragged, monkeypatch, chunk):
    monkeypatch.setattr(clients_module, "COMPUTE_SAMPLES", chunk)
    params = models_of(ragged, 1).map(lambda p: p[:, 0])
    found = ragged.fed.compute(class_sums, params, ragged.clients())
    net = ragged.fed.model.evaluating()
    assert torch.equal(found["counts"], ragged.fed.class_counts)
    for client in range(4):
        x, y = ragged.samples(client)
        z = net.features({name: tensor[client] for name, tensor in params.items()}, x)
        for label in range(3):
            torch.testing.assert_close(found["sums"][client, label], z[y == label].sum(0), rtol=1e-4, atol=1e-4)
    assert ragged.costs.forward_samples == 1 + 20 + 3 + 48


@pytest.mark.parametrize("chunk", [5, 1024])
@pytest.mark.parametrize("k", [None, 2])
def test_compute_gives_rows_in_the_order_of_the_samples(ragged, monkeypatch, chunk, k):
    monkeypatch.setattr(clients_module, "COMPUTE_SAMPLES", chunk)
    params, aux = models_of(ragged, k or 1), torch.randn(4, 3)
    given = params if k else params.map(lambda p: p[:, 0])
    found = ragged.fed.compute(shifted_losses, given, ragged.clients(), aux=aux, models=k, reduce="rows")
    found = found if k else found.unsqueeze(1)
    net = ragged.fed.model.evaluating()
    assert found.shape[:2] == (4, k or 1) and found.shape[2] >= 48
    for client in range(4):
        x, y = ragged.samples(client)
        for model in range(k or 1):
            logits = net({name: tensor[client, model] for name, tensor in params.items()}, x) + aux[client]
            expected = torch.nn.functional.cross_entropy(logits, y, reduction="none")
            torch.testing.assert_close(found[client, model, : len(y)], expected, rtol=1e-4, atol=1e-5)
            assert not found[client, model, len(y) :].any()
    assert ragged.costs.forward_samples == 2 * (k or 1) * (1 + 20 + 3 + 48), "two passes of every sample"


def test_compute_over_mini_batches(ragged):
    params = models_of(ragged, 1).map(lambda p: p[:, 0])
    everyone = ragged.clients()
    found = ragged.fed.compute(class_sums, params, everyone, over=3)
    sizes = torch.tensor([1, 8, 3, 8])
    assert found["counts"].sum(1).tolist() == (3 * sizes).tolist(), "as many per batch as there are, up to 8"
    assert ragged.costs.forward_samples == 3 * 20
    again = ragged.fed.compute(class_sums, params, everyone, over=3)
    assert torch.equal(found["sums"], again["sums"]), "the same batches"
    other = ragged.fed.compute(class_sums, params, everyone, over=3, stream="other")
    assert not torch.equal(found["sums"][3], other["sums"][3])
    rows = ragged.fed.compute(pixels, params, everyone, over=2, reduce="rows")
    own = ragged.samples(1)[0].flatten(1).sum(1)
    for value in rows[1, :16]:
        assert torch.isclose(own, value, atol=1e-4).any(), "a client's own samples"


@pytest.mark.parametrize("k", [None, 2])
def test_rows_of_short_mini_batches_close_up(ragged, k):
    """Two batches of a client with 3 samples: six rows, then zeros."""
    params = models_of(ragged, k or 1)
    given = params if k else params.map(lambda p: p[:, 0])
    found = ragged.fed.compute(pixels, given, ragged.clients(), over=2, models=k, reduce="rows")
    found = found if k else found.unsqueeze(1)
    own = ragged.samples(2)[0].flatten(1).sum(1).sort().values
    for model in range(k or 1):
        for batch in (found[2, model, :3], found[2, model, 3:6]):
            torch.testing.assert_close(batch.sort().values, own, rtol=1e-4, atol=1e-4)
        assert not found[2, model, 6:].any()


def test_compute_refuses_derivatives_unless_asked_for_and_counts_them(ragged):
    params, everyone = models_of(ragged, 1).map(lambda p: p[:, 0]), ragged.clients()
    for function in (slope_of_bias, slope_by_autograd):
        with pytest.raises(RuntimeError, match=r"takes derivatives; ask for compute\(..., gradients=True\)"):
            ragged.fed.compute(function, params, everyone)
    with pytest.raises(ValueError, match="needs over=NUMBER"):
        ragged.fed.compute(slope_of_bias, params, everyone, gradients=True)
    assert ragged.costs.local_steps == 0
    found = ragged.fed.compute(slope_of_bias, params, everyone, over=2, gradients=True)
    assert ragged.costs.local_steps == 4 * 2
    x, y = ragged.samples(0)
    logits = ragged.fed.model.evaluating()({name: tensor[0] for name, tensor in params.items()}, x)
    residual = (logits.softmax(1) - torch.nn.functional.one_hot(y, 3)).sum(0)
    torch.testing.assert_close(found[0], 2 * residual, rtol=1e-4, atol=1e-5)


def test_compute_outside_training_is_counted_apart(harness, fed, cohort):
    for phase in ("evaluate", "adapt", "enroll"):
        harness.federation(phase).compute(class_sums, stacked(fed.init_params(), 2), cohort)
    assert harness.costs.forward_samples == 0
    assert harness.costs.adapt_forward_samples == 3 * fed.sizes[cohort].sum()


def test_compute_leaves_the_parameters_alone(fed, cohort):
    params = fed.send(fed.init_params(), cohort)
    before = params.map(torch.clone)
    fed.compute(class_sums, params, cohort)
    assert all(torch.equal(params[name], before[name]) for name in params)


def test_the_method_s_own_random_numbers_follow_their_coordinates(harness, fed):
    again = harness.federation("train", round=3)
    assert fed.generator("a", 1).integers(2**60) == again.generator("a", 1).integers(2**60)
    assert fed.generator("a", 1).integers(2**60) != fed.generator("a", 2).integers(2**60)


def test_a_trainable_name_that_is_not_there_is_an_error():
    harness = Harness("fedavg")
    fed, cohort = harness.fed, harness.clients(0)
    with pytest.raises(
        ValueError, match="trainable names 'fc.weight', which params do not have: they are hidden.weight"
    ):
        fed.train(fed.send(fed.init_params(), cohort), cohort, Sgd(0.1), trainable=frozenset({"fc.weight"}))


def per_sample(net, params, batch, aux):
    return net(params, batch.x).sum(1)


@pytest.mark.parametrize("backend", ["loop", "vmap", "graph"])
def test_a_loss_must_be_one_number(backend):
    harness = Harness("fedavg", options=Options(backend=backend))
    fed, cohort = harness.fed, harness.clients(0, 1)
    with pytest.raises(ValueError, match=r"loss=per_sample gave shape \(8,\); it must be a scalar"):
        fed.train(fed.send(fed.init_params(), cohort), cohort, Sgd(0.1), steps=1, loss=per_sample)


@pytest.mark.parametrize("of", ["itself", "a part"])
def test_a_closed_federation_trains_computes_and_sends_nothing(harness, cohort, of):
    fed, params = harness.federation("adapt"), harness.server
    own = fed if of == "itself" else fed.part(0.5)[0]
    stack = own.send(params, cohort)
    fed.close()
    for asked in (
        lambda: own.train(stack, cohort, SGD),
        lambda: own.compute(class_sums, stack, cohort),
        lambda: own.send(params, cohort),
        lambda: own.collect(stack),
    ):
        with pytest.raises(BudgetError, match=r"was for an earlier call \(adapt, after 0 rounds\)"):
            asked()
    assert own.clients == 6 and harness.costs.adapt_steps == 0
