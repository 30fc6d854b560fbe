"""What holds for every method alike, beside the kit."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pfl_bench.api import PerClient, Served, Sgd, State, register_model
from pfl_bench.registry import METHODS
from pfl_bench.spec.options import Options
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import tiny_setup
from tests.methods.rounds import LOOP, after, close_or_same, differ, normed, same

OF_PEERS = {"fedfomo"}
"""Who serves newcomers with models of other clients, which are personal state."""


@pytest.mark.parametrize("name", [name for name in METHODS.names() if METHODS.get(name).defines("enroll")])
def test_newcomers_are_served_within_their_allowance(name):
    """More newcomers than there were training clients: nothing of theirs may be looked up among those."""
    harness = Harness(name, tiny_setup().but(local_steps=6), rounds=2, options=LOOP)
    other = Harness("fedavg", tiny_setup(clients=8))
    fed = other.federation("enroll", local_steps=6)
    found = harness.method.enroll(fed, harness.state, fed.everyone)
    served = found if isinstance(found, Served) else Served(found)
    logits = other.group.backend.logits(
        fed.model, served, torch.rand(8, 5, 1, *other.samples(0)[0].shape[-2:]), torch.ones(8, 5)
    )
    assert logits.shape == (8, 5, 3) and logits.isfinite().all()
    assert other.costs.adapt_steps <= 8 * 6 and other.costs.local_steps == 0
    if name in OF_PEERS:
        return
    fresh = {
        k: PerClient(v.default, v.clients) if isinstance(v, PerClient) else v for k, v in vars(harness.state).items()
    }
    again = harness.method.enroll(fed, State(**fresh), fed.everyone)
    same(served.params, again.params if isinstance(again, Served) else again)


OFF: dict[str, dict[str, object]] = {
    "apfl": {"alpha": 1.0, "adaptive": False},
    "apple": {"relation_lr": 0.0},
    "ditto": {"lam": 0.0},
    "fedavgm": {"server_momentum": 0.0},
    "fedcac": {"tau": 0.0},
    "fedcp": {"lam": 0.0},
    "feddbe": {"kappa": 0.0},
    "feddecomp": {"linear_rank": 0},
    "fedem": {"models": 1},
    "fedpac": {"lam": 0.0},
    "fedproto": {"lam": 0.0},
    "fedprox": {"mu": 0.0},
    "fedselect": {"grown": 0.0},
    "gpfl": {"lam": 0.0, "mu": 0.0},
    "ifca": {"clusters": 1},
    "knn_per": {"lam": 0.0},
    "l2gd": {"lam": 0.0},
    "moon": {"mu": 0.0},
    "mr_mtl": {"lam": 0.0},
    "pfedgraph": {"lam": 0.0},
    "pfedme": {"beta": 0.0},
    "superfed": {"nu": 0.0},
}
"""Figures without which a method is another one; published code has some of them as its defaults."""


@pytest.mark.parametrize(("name", "field"), [(name, field) for name, figures in OFF.items() for field in figures])
def test_no_default_switches_its_method_off(name, field):
    config, off = METHODS.get(name).Config(), OFF[name][field]
    assert getattr(config, field) != off
    assert off != 0.0 or getattr(config, field) > 1e-6, "no more than rounding"


FROZEN = {
    "fedalt": ("body",), "fedbn": ("body",), "feddbe": ("server",), "fedpac": ("body",), "fedper": ("body",),
    "fedrep": ("body",), "fedrod": ("server",), "fedsim": ("body",), "gpfl": ("body", "guide"),
    "lg_fedavg": ("server",),
}  # fmt: skip
"""Who fits a newcomer's own part under the shared one, and what of the state that is."""


@pytest.mark.parametrize("name", FROZEN)
def test_newcomers_fit_their_own_part_and_leave_the_shared_one(name):
    warm = {"warm_start": 0.0} if "warm_start" in METHODS.get(name).Config.model_fields else {}
    setup = tiny_setup(model=normed()) if name == "fedbn" else tiny_setup()
    harness = Harness(name, setup, rounds=2, options=LOOP, **warm)
    fed = harness.federation("enroll")
    found = harness.method.enroll(fed, harness.state, fed.everyone)
    served = found if isinstance(found, Served) else Served(found)
    shared = {k: t for field in FROZEN[name] for k, t in getattr(harness.state, field).items()}
    for k, tensor in shared.items():
        assert (served.params[k] == tensor).all(), k
    own = [t for k, t in served.params.items() if k not in shared] or [served.aux]
    assert any(not torch.allclose(t[0], t[1], atol=1e-4) for t in own), "each has fitted its own"
    assert harness.costs.adapt_steps == 6 * fed.local_steps


OWN_FIGURES = {"fedbn"}
"""Who shares no running figures: each client's are its own."""


def shared_part(name: str) -> str:
    """The field of the state with what all clients share of a model; "" where there is none."""
    return next((field for field in ("body", "server") if hasattr(after(name, rounds=0).state, field)), "")


@pytest.mark.parametrize("name", [n for n in METHODS.names() if n not in OWN_FIGURES and shared_part(n)])
def test_running_figures_are_averaged_and_never_descended(name):
    """With BatchNorm, on every back-end alike: also where a method says which parameters move."""

    @register_model("normed")
    def normed(shape, classes):
        width = shape[0] * shape[1] * shape[2]
        return nn.Sequential(nn.Flatten(), nn.Linear(width, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, classes))

    wanted = {"lr": 0.02, "weight_decay": 0.1}
    config = {key: wanted[key] for key in wanted if key in METHODS.get(name).Config.model_fields}
    setup = tiny_setup(model="normed").but(local_steps=6)
    loop, stacked = (
        Harness(name, setup, rounds=2, options=Options(backend=backend), **config) for backend in ("loop", "vmap")
    )
    for a, b in zip(loop.tensors(), stacked.tensors(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    shared = getattr(loop.state, shared_part(name))
    fedavg = Harness("fedavg", tiny_setup(model="normed"), rounds=1, options=LOOP)
    assert set(shared) >= fedavg.fed.model.buffers
    differ({k: shared[k] for k in fedavg.fed.model.buffers}, fedavg.fed.init_params())


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
    close_or_same(body.only(fed.model.buffers), nothing.only(fed.model.buffers))
    assert not torch.equal(body["1.weight"], nothing["1.weight"])
