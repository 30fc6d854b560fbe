"""Methods that divide the model into a body and a head: each is what its paper says, by an identity or by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pfl_bench.api import State
from pfl_bench.running.notes import method_notes
from pfl_bench.running.runner import Plan
from pfl_bench.spec.options import Options
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import tiny_setup
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
    normed,
    numpy_slopes,
    row,
    same,
    slopes,
)


def test_fedrep_by_hand():
    """The head's step under the received body, then the body's under the head that came of it."""
    harness, lr = by_hand("fedrep", local_steps=2, head_share=0.5, lr=0.1, **PLAIN), 0.1
    head = set(harness.state.heads)
    start = row(harness.received, 0)
    middle = down(start, slopes(harness, 0, start), lr, head)
    end = down(middle, slopes(harness, 0, middle), lr, set(start) - head)
    harness.round(0)
    close(row(harness.received, 0), end)


def test_fedrep_in_numpy():
    """A round of two clients: two steps of each head, one of each body, the mean of the bodies by sizes."""
    harness, lr = by_hand("fedrep", local_steps=3, head_share=0.67, lr=0.1, **PLAIN), 0.1
    w, head, ends, n = in_numpy(row(harness.received, 0)), set(harness.state.heads), [], harness.fed.sizes.numpy()
    for client in (0, 5):
        end = w
        for moving in (head, head, set(w) - head):
            g = numpy_slopes(harness, client, end)
            end = {k: v - lr * g[k] if k in moving else v for k, v in end.items()}
        ends.append(end)
    harness.round(0, 5)
    p = n[[0, 5]] / n[[0, 5]].sum()
    bodies = {k: p[0] * ends[0][k] + p[1] * ends[1][k] for k in set(w) - head}
    close_to_numpy(harness.state.body, bodies)
    for client, end in zip((0, 5), ends, strict=True):
        close_to_numpy(row(harness.received, client), bodies | {k: end[k] for k in head})


def test_fedrep_without_body_steps_is_local_on_the_head():
    """The body stays where it began, and every visit trains the client's own head under it."""
    harness = after("fedrep", rounds=0, head_share=1.0, lr=0.1)
    fed, own, sgd = harness.fed, harness.fed.per_client(harness.fed.init_params()), harness.method.config.sgd()
    for cohort in ((0, 1, 2), (1, 3)):
        clients = harness.clients(*cohort)
        trained = harness.fed.train(own.rows(clients), clients, sgd, trainable=fed.model.head, stream="head")
        own.set_rows(clients, trained.params)
        harness.round(*cohort)
    close(harness.received, own.rows(harness.clients()))
    differ(harness.received, fed.send(fed.init_params(), harness.clients()))


def test_fedrep_adapts_heads_only():
    harness = after("fedrep")
    before, adapted = harness.received, harness.adapted
    same(adapted.only(harness.state.body), before.only(harness.state.body))
    differ(adapted.only(harness.state.heads), before.only(harness.state.heads))


def test_fedrep_needs_two_steps():
    setup = tiny_setup().but(local_steps=1)
    with pytest.raises(Exception, match="local_steps=1 cannot be divided"):
        Harness("fedrep", setup, rounds=1)


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


def test_fedbabu_in_numpy():
    """A round of two clients: two steps of each body under the first head, then the mean by sizes."""
    harness, lr = by_hand("fedbabu", local_steps=2, lr=0.1, **PLAIN), 0.1
    w, body, n = in_numpy(harness.server), harness.fed.model.body, harness.fed.sizes.numpy()
    mean = {k: v if k not in body else 0.0 for k, v in w.items()}
    for client in (0, 5):
        end = w
        for _ in range(2):
            g = numpy_slopes(harness, client, end)
            end = {k: v - lr * g[k] if k in body else v for k, v in end.items()}
        mean |= {k: mean[k] + n[client] / n[[0, 5]].sum() * end[k] for k in body}
    harness.round(0, 5)
    close_to_numpy(harness.server, mean)


def test_fedbabu_fine_tunes_as_fedavg_does():
    harness, other = after("fedbabu"), after("fedavg_ft", finetune_steps=50)
    other.state = State(server=harness.server)
    same(harness.adapted, other.adapted)


def test_fedrod_by_hand():
    """The balanced loss moves body and generic head, the personal loss the personal head and nothing else.

    Twice, so that the heads differ; what is shared is averaged by sizes.
    """
    harness, lr, clients = by_hand("fedrod", lr=0.1, **PLAIN), 0.1, (1, 4)
    w, share = harness.server, harness.fed.sizes[[1, 4]] / harness.fed.sizes[[1, 4]].sum()
    heads = dict.fromkeys(clients, harness.state.heads.default)
    assert (harness.fed.class_counts[1] == 0).any() and share[0] != share[1]  # a class that the client lacks

    for _ in range(2):
        ends = []
        for i in clients:

            def balanced(net, params, batch, counts=harness.fed.class_counts[i]):
                weighted = counts * net(params, batch.x).exp()
                return -(weighted / weighted.sum(1, keepdim=True)).gather(1, batch.y[:, None]).log().mean()

            def residual(net, params, batch, w=w):
                return F.cross_entropy(net(w, batch.x) + net.head(params, net.features(w, batch.x)), batch.y)

            ends.append(down(w, slopes(harness, i, w, balanced), lr))
            heads[i] = down(heads[i], slopes(harness, i, heads[i], residual), lr)
        w = {k: share[0] * ends[0][k] + share[1] * ends[1][k] for k in w}
        harness.round(*clients)
    close(harness.server, w)
    for i in clients:
        close(row(harness.state.heads.rows(harness.clients(i)), 0), heads[i])


def test_fedrod_predicts_with_the_sum_of_its_heads():
    harness = after("fedrod")
    served = harness.method.client_params(harness.federation("evaluate"), harness.state, harness.clients(2))
    net, (x, _) = harness.fed.model.evaluating(), harness.samples(2)
    own = row(harness.state.heads.rows(harness.clients(2)), 0)
    folded = harness.server | {k: harness.server[k] + t for k, t in own.items()}  # right for a linear head
    torch.testing.assert_close(served.predict(net, row(served.params, 0), x, None), net(folded, x))


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


def test_feddbe_predicts_with_the_clients_own_bias():
    harness, net = after("feddbe", lr=0.1), after("feddbe", rounds=0).fed.model.evaluating()
    x, p = harness.samples(0)[0], harness.state.bias.rows(harness.clients())["prbm"]
    assert p.abs().amax(1).min() > 1e-3
    for i in (1, 4):
        expected = net.head(harness.state.server, net.features(harness.state.server, x) + p[i])
        torch.testing.assert_close(harness.predict("received", i, x), expected)


def test_feddbes_consensus_is_the_mean_of_all_features_after_an_initial_round():
    harness, lr = by_hand("feddbe", lr=0.1, **PLAIN), 0.1
    net, w = harness.fed.model.evaluating(), harness.fed.init_params()
    same(harness.state.server, w)
    z = [net.features(down(w, slopes(harness, i, w), lr), harness.samples(i)[0]) for i in range(6)]
    torch.testing.assert_close(harness.state.consensus["zbar"], torch.cat(z).mean(0))
    assert (harness.costs.local_steps, harness.costs.forward_samples) == (6, int(harness.fed.sizes.sum()))


@pytest.mark.parametrize(("name", "other", "of_other"), [
    ("fedsim", "fedper", {}),
    ("fedalt", "fedrep", {"head_share": 0.5}),
])  # fmt: skip
def test_with_a_personal_head_and_no_warm_start(name, other, of_other):
    """FedSim is FedPer, FedAlt is FedRep."""
    found, expected = after(name, rounds=2, warm_start=0.0), after(other, rounds=2, **of_other)
    same(found.received, expected.received)
    if other == "fedrep":
        same(found.adapted, expected.adapted)


def test_fedsim_with_personal_lower_layers_is_lg_fedavg():
    """From the same warm start; LG-FedAvg never adapts."""
    same(after("fedsim", rounds=3, personal="first").received, after("lg_fedavg", rounds=3).received)


@pytest.mark.parametrize("config", [{"warm_start": 1.0}, {"personal_layers": 0, "warm_start": 0.0}])
@pytest.mark.parametrize("name", ["fedsim", "fedalt"])
def test_nothing_personal_is_fedavg(name, config):
    """And nothing is spent on adapting it."""
    harness, fedavg = after(name, rounds=2, **config), after("fedavg", rounds=2)
    everyone = fedavg.fed.send(fedavg.server, fedavg.clients())
    same(harness.received, everyone)
    same(harness.adapted, everyone)
    assert harness.costs.adapt_steps == 0


@pytest.mark.parametrize(("personal", "layers", "stays"), [
    ("last", 1, {"head.weight", "head.bias"}),
    ("first", 1, {"hidden.weight", "hidden.bias"}),
    ("first", 2, {"head.weight", "head.bias", "hidden.weight", "hidden.bias"}),
])  # fmt: skip
@pytest.mark.parametrize("name", ["fedsim", "fedalt"])
def test_what_is_personal_stays(name, personal, layers, stays):
    harness = after(name, rounds=1, personal=personal, personal_layers=layers, warm_start=0.0)
    assert set(harness.state.heads) == stays
    assert harness.state.body.keys() == harness.fed.model.names - stays
    harness.costs.bytes_up = 0
    harness.round(0, 1)
    assert harness.costs.bytes_up == 2 * 4 * sum(harness.state.body[k].numel() for k in harness.state.body)


def test_fedalt_by_hand_with_personal_lower_layers():
    """A step of the lower layer, then one of the upper under it."""
    harness, lr = by_hand("fedalt", local_steps=2, personal="first", warm_start=0.0, lr=0.1, **PLAIN), 0.1
    start, own = row(harness.received, 3), {"hidden.weight", "hidden.bias"}
    middle = down(start, slopes(harness, 3, start), lr, own)
    harness.round(3)
    close(row(harness.received, 3), down(middle, slopes(harness, 3, middle), lr, set(start) - own))


def test_personal_layers_start_from_the_warm_start():
    harness, fedavg = after("fedsim", rounds=2), after("fedavg", rounds=2)
    harness.round(1)
    untouched = row(harness.received, 0)
    same({k: untouched[k] for k in harness.state.heads}, fedavg.server.only(harness.state.heads))
    assert harness.method.selected_from == 0.5


def test_fedbn_without_batch_norm_is_fedavg_and_says_so():
    harness, fedavg = after("fedbn", rounds=2), after("fedavg", rounds=2)
    same(harness.received, fedavg.fed.send(fedavg.server, fedavg.clients()))
    setup = tiny_setup()
    plan = Plan("s", [setup.spec("fedbn"), setup.spec("fedavg")], {setup.scenario.dataset: setup.dataset}, {}, LOOP)
    assert method_notes(plan) == ["fedbn is FedAvg with the client model mlp, which has no BatchNorm layers"]
    setup = tiny_setup(model=normed())
    assert method_notes(replace(plan, runs=[setup.spec("fedbn")])) == []


def test_fedbn_keeps_batch_norms_weights_biases_and_figures():
    """Found by their type: no name here says so."""
    harness, n = Harness("fedbn", tiny_setup(model=normed()), options=LOOP, lr=0.1), 4
    assert set(harness.state.heads) == {"2.weight", "2.bias", "2.running_mean", "2.running_var"}
    start, clients = harness.received.rows(torch.tensor([0, 1])), harness.clients(0, 1)
    trained = harness.fed.train(start, clients, harness.method.config.sgd()).params
    harness.round(0, 1)
    same(harness.state.heads.rows(clients), trained.only(harness.state.heads))
    shared = trained.without(harness.state.heads)
    assert len(shared) == n
    same(harness.state.body, harness.fed.average(shared, clients))
    same(row(harness.received.only(harness.state.heads), 4), harness.fed.init_params().only(harness.state.heads))


def test_fedbn_is_the_same_on_every_backend():
    """A client of its own figures takes nobody else's."""
    setup = tiny_setup(model=normed())
    loop, stacked = (Harness("fedbn", setup, rounds=2, options=Options(backend=b)) for b in ("loop", "vmap"))
    for a, b in zip(loop.tensors(), stacked.tensors(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_fedas_weighs_bodies_by_their_fisher_traces():
    """One full-batch step to align (with nothing yet), one to train, one to measure; by NumPy."""
    harness, lr = by_hand("fedas", local_steps=3, lr=0.1, align_lr=0.2, **PLAIN), 0.1
    w, body = in_numpy(row(harness.received, 0)), set(harness.state.body)
    ends, traces = [], []
    for client in (0, 5):
        g = numpy_slopes(harness, client, w)
        ends.append({k: w[k] - lr * g[k] for k in w})
        traces.append(sum((v**2).sum() for v in numpy_slopes(harness, client, ends[-1]).values()))
    harness.round(0, 5)
    p = np.array(traces) / sum(traces)
    assert abs(p[0] - 0.5) > 1e-3
    close_to_numpy(harness.state.body, {k: p[0] * ends[0][k] + p[1] * ends[1][k] for k in body})
    assert harness.costs.local_steps == 2 * 3
    for place, client in enumerate((0, 5)):
        x, y = (t.numpy() for t in harness.samples(client))
        z = np.maximum(x.reshape(len(x), -1) @ ends[place]["hidden.weight"].T + ends[place]["hidden.bias"], 0)
        means = {label: z[y == label].mean(0) for label in range(3) if (y == label).any()}
        own = harness.state.prototypes.rows(harness.clients(client))
        assert own["known"][0].tolist() == [float(label in means) for label in range(3)]
        for label, expected in means.items():
            np.testing.assert_allclose(own["mean"][0, label], expected, rtol=1e-4, atol=1e-5)


def test_fedas_aligns_the_received_body_with_the_last_visits_features():
    harness, lr = by_hand("fedas", local_steps=3, lr=0.1, align_lr=0.5, **PLAIN), 0.1
    harness.round(1)
    harness.round(2, 3)  # so that the body moves on
    start, own = row(harness.received, 1), row(harness.state.prototypes.rows(harness.clients(1)), 0)

    def away(net, params, batch):
        z = net.features(params, batch.x)
        classes = [label for label in range(3) if (batch.y == label).any()]
        return sum(((z[batch.y == label] - own["mean"][label]) ** 2).mean() for label in classes)

    aligned = down(start, slopes(harness, 1, start, away), 0.5, harness.fed.model.body)
    differ(aligned, start)
    end = down(aligned, slopes(harness, 1, aligned), lr)
    harness.round(1)
    close(harness.state.body, {k: end[k] for k in harness.state.body})


def test_fedas_adapts_by_aligning_and_training_and_measures_nothing():
    """The same steps as a visit's, in which those that a visit spends on its Fisher trace train."""
    harness, lr = by_hand("fedas", local_steps=3, lr=0.1, align_lr=0.5, **PLAIN), 0.1
    harness.round(1)
    harness.round(2, 3)
    at, own = row(harness.received, 1), row(harness.state.prototypes.rows(harness.clients(1)), 0)

    def away(net, params, batch):
        z, classes = net.features(params, batch.x), batch.y.unique()
        return sum(((z[batch.y == label] - own["mean"][label]) ** 2).mean() for label in classes)

    at = down(at, slopes(harness, 1, at, away), 0.5, harness.fed.model.body)
    for _ in range(2):
        at = down(at, slopes(harness, 1, at), lr)
    close(row(harness.adapted, 1), at)


def test_fedas_measures_on_a_share_of_its_visit():
    harness = after("fedas", rounds=0, fisher_share=0.3)
    harness.round(0, 3, 4)
    assert harness.costs.local_steps == 3 * 20
