"""A round must not wait for a GPU, nor take float64, which Apple's have not.

Tensors on the meta device have no values: who asks for one gets an error.
"""

import pytest
import torch
from torch.optim.sgd import sgd
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pfl_bench.registry import METHODS
from pfl_bench.spec.options import Options
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import tiny_setup

SETUP = tiny_setup().but(local_steps=5)
"""Steps enough for every phase of a visit, and for a recorded step to be replayed."""


@pytest.fixture(autouse=True)
def sgd_without_values(monkeypatch):
    """The fused kernel has no meta version; the plain one asks for as little."""

    def plain(params, gradients, buffers, /, *, is_first_step, **spec):
        sgd(params, gradients, buffers or [None] * len(params), fused=False, **spec)

    monkeypatch.setattr(torch, "_fused_sgd_", plain)


def harness(method: str, backend: str) -> Harness:
    return Harness(method, SETUP, options=Options(device="meta", backend=backend))


WAITING = {
    "cfl": "the server looks at the clients' updates to split clusters",
    "fedala": "a client's first visit has a length of its own",
    "feddbe": "all clients' features are averaged before the first round",
    "fedfomo": "the server draws whose models it offers by their scores",
    "fednova": "each client's number of steps follows from its size",
    "fedpac": "quadratic programmes are solved on the host",
    "ifca": "clusters are of the size that their clients choose",
    "pfedfda": "each client's shares of the Gaussians are fitted on the host",
}
"""Who waits, and for what."""


class Doubles(TorchDispatchMode):
    """Notes operations that give float64 on the device."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        on_device = [t for t in tree_leaves(result) if isinstance(t, torch.Tensor) and t.device.type == "meta"]
        self.found |= {str(operation) for tensor in on_device if tensor.dtype == torch.float64}
        return result


ON_THE_HOST = {"scaffold": "where the device has no float64, K lr is taken on the host"}


@pytest.mark.parametrize("method", [name for name in METHODS.names() if name not in {*WAITING, *ON_THE_HOST}])
def test_a_round_takes_no_float64(method):
    with Doubles() as doubles:
        harness(method, "vmap").round(0, 1)
    assert not doubles.found


@pytest.mark.parametrize("backend", ["vmap", "graph"])
@pytest.mark.parametrize("method", [name for name in METHODS.names() if name not in WAITING])
def test_a_round_does_not_wait(method, backend):
    entrant = harness(method, backend)
    for _ in range(2):
        entrant.round(0, 1)
    assert all(tensor.device.type == "meta" for tensor in entrant.tensors())


def test_float64_would_be_noticed():
    entrant = harness(*ON_THE_HOST, "vmap")
    with Doubles() as doubles:
        entrant.round(0, 1)
    assert doubles.found == {"aten._to_copy.default", "aten.mul.Tensor"}


def test_waiting_would_be_noticed():
    """Ids that do not remember their values on the host must be read from the device."""
    entrant = harness("fedavg", "vmap")
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        entrant.method.round(entrant.fed, entrant.state, torch.arange(2, device="meta"))
