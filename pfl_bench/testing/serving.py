"""Checks of what a method serves: the evaluation hooks, for some clients at a time and for one sample at a time."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pfl_bench.client.requests import Served
from pfl_bench.data.partition import make_partition
from pfl_bench.engine.checkpoint import dumps
from pfl_bench.engine.clusters import clusters_of
from pfl_bench.engine.method import Moment
from pfl_bench.registry import METHODS
from pfl_bench.spec.scenario import EnrollSpec

from .check import CheckFailedError
from .harness import Harness
from .kit import ATOL, RTOL, SHARED, Context, finish
from .setup import TinySetup, brief_setup

HOOKS: dict[Moment, str] = {"global": "global_params", "received": "client_params", "adapted": "adapt"}
SAMPLES = 4
"""Test samples per client that are predicted together and alone."""


def trained(method: str, context: Context, setup: TinySetup | None = None) -> Harness:
    """The method as its tiny run leaves it, but for the last round; another object each time."""
    harness = Harness(method, setup, options=SHARED)
    harness.state, harness.rounds = context.run(method).state, len(context.run(method).checkpoints)
    return harness


def evaluation_changes_nothing(method: str, context: Context) -> None:
    """No hook but init and round changes the state."""
    harness = trained(method, context)
    before = dumps(harness.state)
    hooks: dict[str, Callable[[], Any]] = {
        HOOKS[moment]: partial(harness.served, moment) for moment in harness.method.moments()
    }
    if harness.method.defines("client_vectors"):
        hooks["client_vectors"] = lambda: harness.method.client_vectors(harness.federation("evaluate"), harness.state)
    if harness.method.defines("client_clusters"):
        hooks["client_clusters"] = lambda: clusters_of(harness.method, harness.federation("evaluate"), harness.state)
    for name, call in hooks.items():
        call()
        if dumps(harness.state) != before:
            raise CheckFailedError(f"{name} changes the state")


def serves_some_as_it_serves_all(method: str, context: Context) -> None:
    """What a client is served does not depend on who else is served, nor on how often."""
    for moment in METHODS.get(method).moments():
        if moment == "global":
            continue
        whole = trained(method, context)
        clients = len(whole.clients())
        everyone = _predictions(whole, whole.served(moment), list(range(clients)))
        portions = [[0], list(range(clients))[:0:-1]]
        cases = [(trained(method, context), ids) for ids in portions] + [(whole, list(range(clients)))]
        for harness, ids in cases:
            if not _close([_predictions(harness, harness.served(moment, *ids), ids)], [everyone[ids]]):
                asked = f"clients {ids}" if len(ids) < clients else "everybody once more"
                raise CheckFailedError(f"asked at moment {moment!r} for {asked}, it serves something else than before")


def serves_each_sample_alone(method: str, context: Context) -> None:
    """A prediction does not depend on the samples beside it."""
    harness = trained(method, context)
    everyone, every = list(range(len(harness.clients()))), slice(0, SAMPLES)
    for moment in harness.method.moments():
        served = harness.served(moment)
        if served.predict is None:
            continue
        alone = torch.cat([_predictions(harness, served, everyone, slice(i, i + 1)) for i in range(SAMPLES)], dim=1)
        together = _predictions(harness, served, everyone, every)
        others = _predictions(harness, served, everyone, slice(SAMPLES - 1, SAMPLES + 2))[:, :1]
        if not _close([together, others], [alone, alone[:, -1:]]):
            raise CheckFailedError(f"at moment {moment!r} a sample's prediction depends on the samples beside it")


def _predictions(harness: Harness, served: Served, clients: list[int], samples: slice = slice(0, SAMPLES)) -> Tensor:
    """Outputs ``[c, B, classes]`` of these clients on some of their test samples."""
    place = harness.places[0]
    x, _ = place.test.pool.gather(place.test.indices[clients, samples])
    with torch.no_grad():
        return place.group.backend.logits(place.group.model, served, x, torch.ones(x.shape[:2], device=x.device))


def enrolls_newcomers(method: str, context: Context) -> None:
    """Who defines ``enroll`` serves clients with one labelled sample and with all, and keeps to the allowance."""
    if not METHODS.get(method).defines("enroll"):
        return
    tiny = brief_setup()
    scenario = tiny.scenario.model_copy(
        update={"novel": 2, "enroll": EnrollSpec(steps=10, samples=(1, "all")), "visits": 5}
    )
    partition = make_partition("classes", {"classes": 2}, tiny.dataset, scenario.clients, 0, novel=2)
    result, _ = finish(context.job(TinySetup(scenario, tiny.dataset, partition), method), tiny.dataset)
    if len(result.tables["novel"]) != 4:
        raise CheckFailedError(f"{len(result.tables['novel'])} scores of 2 new clients with 1 sample and all; not 4")


def _close(found: list[Tensor], right: list[Tensor]) -> bool:
    return len(found) == len(right) and all(
        a.shape == b.shape and torch.allclose(a.float(), b.float(), rtol=RTOL, atol=ATOL)
        for a, b in zip(found, right, strict=True)
    )
