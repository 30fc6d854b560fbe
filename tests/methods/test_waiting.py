"""A round must not wait for a GPU. Tensors on the meta device have no values: who asks for one gets an error."""

import numpy as np
import pytest
import torch
from torch.optim.sgd import sgd

from pfl_bench.client import training
from pfl_bench.engine.federation import Cohort, Federation
from pfl_bench.engine.places import build_federation
from pfl_bench.registry import METHODS
from pfl_bench.testing.kit import tiny_arena

DEVICE = torch.device("meta")


@pytest.fixture(autouse=True)
def sgd_without_values(monkeypatch):
    """The fused kernel has no meta version; the plain one asks for as little."""
    monkeypatch.setattr(training, "sgd", lambda *tensors, fused, **spec: sgd(*tensors, fused=False, **spec))


def two_rounds(method: str, backend: str) -> None:
    arena = tiny_arena()
    spec = arena.spec(method)
    entrant = METHODS.get(method)(spec.config)
    fed = build_federation(spec, arena.dataset, arena.partition, DEVICE, backend)
    state = entrant.init(fed)
    for round in range(2):
        cohort = Cohort.of(np.arange(2), DEVICE)
        at = fed.at(round, round / 2, "train", fed.costs, cohort)
        state = entrant.round(at, state, cohort.clients)
    assert all(t.device == DEVICE for t in torch.utils._pytree.tree_leaves(vars(state)) if torch.is_tensor(t))


@pytest.mark.parametrize("backend", ["vmap", "graph"])
@pytest.mark.parametrize("method", METHODS.names())
def test_a_round_does_not_wait(method, backend):
    two_rounds(method, backend)


def test_waiting_would_be_noticed(monkeypatch):
    monkeypatch.setattr(Federation, "_ids", lambda fed, clients: clients.tolist())
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        two_rounds("fedavg", "vmap")
