"""Methods that divide the model into a body and a head: each is what its paper says, by an identity or by hand."""

import pytest
import torch
import torch.nn.functional as F

from pfl_bench.api import State
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import tiny_setup
from tests.methods.rounds import LOOP, PLAIN, after, by_hand, close, differ, down, row, same, slopes


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
