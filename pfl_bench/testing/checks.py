"""The checks themselves. Each is a property that every entrant must have, whatever it does."""

from dataclasses import replace

import numpy as np
import torch

from pfl_bench.client.backends import BACKENDS
from pfl_bench.engine.events import Failure
from pfl_bench.spec.options import Options

from .harness import Harness
from .kit import (
    EVERY_ROUND,
    Check,
    CheckFailedError,
    Context,
    altered,
    fingerprint,
    finish,
    state_bytes,
    state_of,
    tensors_of,
)
from .setup import TinySetup, ragged_setup, tiny_setup

RTOL, ATOL = 1e-3, 1e-4
"""Back-ends sum in different orders; after a tiny run every state tensor must agree to this."""

VARIETY = [
    ("synthetic:classes=1,n=60", "mlp"),
    ("synthetic:classes=3,n=120", "mlp"),
    ("synthetic:classes=10,n=240", "mlp"),
    ("synthetic:classes=3,n=120,side=16,channels=3", "lenet7"),
]


def deterministic(method: str, context: Context) -> None:
    """The same run twice gives the same bits."""
    setup = tiny_setup()
    first, second = (finish(context.job(setup, method), setup.dataset)[0] for _ in range(2))
    if fingerprint(first) != fingerprint(second):
        raise CheckFailedError("two runs of the same seed differ; is there randomness besides fed.generator?")


def resumable(method: str, context: Context) -> None:
    """A run resumed from any checkpoint gives the bits of an uninterrupted one."""
    setup = tiny_setup()
    whole, checkpoints = finish(context.job(setup, method, EVERY_ROUND), setup.dataset)
    for position in {0, len(checkpoints) // 2, len(checkpoints) - 1}:
        job = context.job(setup, method, EVERY_ROUND).going_on_from(checkpoints[position])
        resumed, later = finish(job, setup.dataset)
        if fingerprint(resumed) != fingerprint(whole):
            raise CheckFailedError(f"resumed after round {position + 1} the result differs; is state kept elsewhere?")
        if later and state_bytes(later[-1]) != state_bytes(checkpoints[-1]):
            raise CheckFailedError(f"resumed after round {position + 1} the state differs; does it share tensors?")


def same_under_ray(method: str, context: Context) -> None:
    """A Ray worker computes the same bits as this process."""
    setup = tiny_setup()
    here, _ = finish(context.job(setup, method), setup.dataset)
    there = context.ray_results[method]
    if isinstance(there, Failure):
        raise CheckFailedError(f"the run failed in a Ray worker: {there.reason}")
    if fingerprint(here) != fingerprint(there):
        raise CheckFailedError("a Ray worker's result differs from the serial one")


def same_on_backends(method: str, context: Context) -> None:
    """Back-ends agree with ``loop`` to the stated tolerance."""
    setup = tiny_setup()
    states = {
        name: tensors_of(state_of(finish(context.job(setup, method, at), setup.dataset)[1][-1]))
        for name, at in ((name, replace(EVERY_ROUND, backend=name)) for name in BACKENDS)
    }
    for name, state in states.items():
        for a, b in zip(states["loop"], state, strict=True):
            if not torch.allclose(a, b, rtol=RTOL, atol=ATOL):
                raise CheckFailedError(f"loop and {name} differ by up to {(a - b).abs().max():.2g} in a state tensor")


def blind_to_held_out_data(method: str, context: Context) -> None:
    """Training does not depend on validation or test data: with other images and labels there, the same state."""
    setup = tiny_setup()
    _, before = finish(context.job(setup, method, EVERY_ROUND), setup.dataset)
    other = altered(setup.dataset, np.concatenate(setup.partition.validation), test=True)
    _, after = finish(context.job(setup, method, EVERY_ROUND), other)
    if state_bytes(before[-1]) != state_bytes(after[-1]):
        raise CheckFailedError("the trained state depends on validation or test data")


def evaluation_changes_nothing(method: str, context: Context) -> None:
    """The evaluation hooks leave the state as it was."""
    harness = Harness(method, rounds=1)
    before = [tensor.clone() for tensor in harness.tensors()]
    for moment in harness.method.moments():
        getattr(harness, {"global": "server"}.get(moment, moment))
    if not all(torch.equal(a, b) for a, b in zip(before, harness.tensors(), strict=True)):
        raise CheckFailedError("an evaluation hook changes the state")


def handles_degenerate_clients(method: str, context: Context) -> None:
    """One sample, one class, fewer samples than a batch: such clients train and are scored."""
    setup = ragged_setup()
    for backend in BACKENDS:
        result, _ = finish(context.job(setup, method, Options(backend=backend)), setup.dataset)
        if len({row["client"] for row in result.clients}) != setup.partition.clients:
            raise CheckFailedError("a client is missing from the scores")


def counts_costs(method: str, context: Context) -> None:
    """Work is counted within the budget; what moves between clients is metered."""
    setup = tiny_setup()
    result, checkpoints = finish(context.job(setup, method, EVERY_ROUND), setup.dataset)
    costs, scenario = result.facts["costs"], setup.scenario
    if not 0 < costs["local_steps"] <= scenario.visits * scenario.local_steps:
        raise CheckFailedError(f"{costs['local_steps']} local steps counted; the budget is {scenario.visits} visits "
                               f"x {scenario.local_steps}")  # fmt: skip
    if costs["samples"] <= 0 or result.facts["visits"] != scenario.visits:
        raise CheckFailedError("samples or visits were not counted")
    if bool(costs["bytes_down"]) != bool(costs["bytes_up"]):
        raise CheckFailedError(f"traffic goes one way only: {costs['bytes_down']} down, {costs['bytes_up']} up")
    if not costs["bytes_up"]:
        _check_isolation(method, context, setup, checkpoints)


def _check_isolation(method: str, context: Context, setup: TinySetup, checkpoints: list[bytes]) -> None:
    """A method that sends nothing: with other data on client 0, the other clients' rows stay the same."""
    other = altered(setup.dataset, setup.partition.train[0], test=False)
    _, changed = finish(context.job(setup, method, EVERY_ROUND), other)
    clients = setup.partition.clients
    for a, b in zip(tensors_of(state_of(checkpoints[-1])), tensors_of(state_of(changed[-1])), strict=True):
        rows = slice(1, None) if a.dim() and len(a) == clients else slice(None)
        if not torch.equal(a[rows] if a.dim() else a, b[rows] if b.dim() else b):
            raise CheckFailedError("no traffic was metered, yet one client's data reached the others")


def fits_any_task(method: str, context: Context) -> None:
    """It works for 1, 3 and 10 classes, for dense and for convolutional client models."""
    for data, model in VARIETY:
        setup = tiny_setup(data, model, rule={"rule": "iid"})
        try:
            finish(context.job(setup, method), setup.dataset)
        except CheckFailedError as failure:
            raise CheckFailedError(f"on {data} with {model}: {failure}") from failure


CHECKS = [
    Check("deterministic", deterministic),
    Check("resumed = uninterrupted, bitwise", resumable),
    Check("serial = Ray, bitwise", same_under_ray),
    Check("loop = vmap = graph, to tolerance", same_on_backends),
    Check("blind to validation and test data", blind_to_held_out_data),
    Check("evaluation leaves the state alone", evaluation_changes_nothing),
    Check("degenerate clients train and count", handles_degenerate_clients),
    Check("costs counted, budget kept", counts_costs),
    Check("1, 3 and 10 classes, dense and convolutional", fits_any_task),
]
