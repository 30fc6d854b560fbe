"""The checks themselves. Each is a property that every entrant must have, whatever it does.

These look at whole runs; ``conduct`` looks at what a method says and takes, ``serving`` at what it serves.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from pfl_bench.client.backends import BACKENDS
from pfl_bench.client.backends.traced import untraced
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.engine.events import Event, Failure, RunResult
from pfl_bench.running.job import Job
from pfl_bench.running.lockstep.together import run_together
from pfl_bench.spec.options import Options

from . import outside
from .check import Check, CheckFailedError
from .conduct import counts_costs, keeps_nothing_outside, source_is_fair, touches_its_cohort_only
from .kit import (
    ATOL,
    RTOL,
    SHARED,
    Context,
    altered,
    fingerprint,
    finish,
    outcome,
    state_bytes,
    state_of,
    tensors_of,
)
from .serving import (
    enrolls_newcomers,
    evaluation_changes_nothing,
    serves_each_sample_alone,
    serves_some_as_it_serves_all,
)
from .setup import brief_setup, ragged_setup, tiny_setup

VARIETY = [
    ("synthetic:classes=1,n=60", "mlp"),
    ("synthetic:classes=3,n=120", "mlp"),
    ("synthetic:classes=10,n=240", "mlp"),
    ("synthetic:classes=3,n=120,side=16,channels=3", "lenet7"),
]

FEW_STEPS = 6
"""A visit's local steps where a check asks whether training works at all, on many kinds of client or task."""


def runs(method: str, context: Context) -> None:
    """The tiny run goes to its end."""
    context.run(method)


def deterministic(method: str, context: Context) -> None:
    """The same run twice gives the same bits, checkpoints or not."""
    setup, once = brief_setup(), context.run(method)
    again, _ = finish(context.job(setup, method, Options(backend="vmap")), setup.dataset)
    if fingerprint(once.result) != fingerprint(again):
        raise CheckFailedError("two runs of the same seed differ; is there randomness besides fed.generator?")


def resumable(method: str, context: Context) -> None:
    """A run resumed from any checkpoint gives the bits of an uninterrupted one."""
    setup, whole = brief_setup(), context.run(method)
    checkpoints = whole.checkpoints
    for position in {0, len(checkpoints) // 2, len(checkpoints) - 1}:
        job = context.job(setup, method, SHARED).going_on_from(checkpoints[position])
        resumed, later = finish(job, setup.dataset)
        if fingerprint(resumed) != fingerprint(whole.result):
            raise CheckFailedError(f"resumed after round {position + 1} the result differs; is state kept elsewhere?")
        if later and state_bytes(later[-1]) != state_bytes(checkpoints[-1]):
            raise CheckFailedError(f"resumed after round {position + 1} the state differs; does it share tensors?")


def same_under_ray(method: str, context: Context) -> None:
    """A Ray worker computes the same bits as this process."""
    there = context.ray_results[method]
    if isinstance(there, Failure):
        raise CheckFailedError(f"the run failed in a Ray worker: {there.reason}", there.details)
    if fingerprint(context.run(method).result) != fingerprint(there):
        raise CheckFailedError("a Ray worker's result differs from the serial one")


def same_on_backends(method: str, context: Context) -> None:
    """Back-ends agree with ``loop`` to the stated tolerance."""
    states = {name: context.run(method, replace(SHARED, backend=name)).checkpoints[-1] for name in BACKENDS}
    for name, state in states.items():
        pairs = zip(tensors_of(state_of(states["loop"])), tensors_of(state_of(state)), strict=True)
        for a, b in pairs:
            if not torch.allclose(a, b, rtol=RTOL, atol=ATOL):
                raise CheckFailedError(f"loop and {name} differ by up to {(a - b).abs().max():.2g} in a state tensor")


def independent_of_company(method: str, context: Context) -> None:
    """A run in lock-step with others gives the bits of one alone, and they give theirs."""
    setup, options = brief_setup(), replace(SHARED, backend="lockstep")
    job = context.job(setup, method, options)
    alone = context.run(method, options)
    results, checkpoints = _finish_together([replace(job, seed=1), job, replace(job, seed=2)], setup.dataset)
    same = state_bytes(alone.checkpoints[-1]) == state_bytes(checkpoints[1][-1])
    if not same or fingerprint(alone.result) != fingerprint(results[1]):
        raise CheckFailedError("a run's result depends on which runs are in lock-step with it")


def _finish_together(jobs: Sequence[Job], dataset: ArrayDataset) -> tuple[list[RunResult], list[list[bytes]]]:
    """As ``finish``, of several jobs in lock-step."""
    try:
        events: list[list[Event]] = [[] for _ in jobs]
        for position, event in run_together(jobs, dataset):
            events[position].append(event)
        results, checkpoints = zip(*map(outcome, events), strict=True)
        return list(results), list(checkpoints)
    finally:
        outside.restore()


def requests_are_values(method: str, context: Context) -> None:
    """Equal requests are the same computation: a step recorded at its third call stands for all later ones."""
    setup, replayed = brief_setup(), context.run(method)
    with untraced():
        plain, checkpoints = finish(context.job(setup, method, SHARED), setup.dataset)
    same = state_bytes(replayed.checkpoints[-1]) == state_bytes(checkpoints[-1])
    if not same or fingerprint(replayed.result) != fingerprint(plain):
        raise CheckFailedError("a loss or rule reads something besides its fields and arguments that changes between "
                               "rounds; hand it over in aux")  # fmt: skip


def blind_to_held_out_data(method: str, context: Context) -> None:
    """Training does not depend on validation or test data: with other images and labels there, the same state."""
    setup, before = brief_setup(), context.run(method)
    other = altered(setup.dataset, np.concatenate(setup.partition.validation), test=True)
    _, after = finish(context.job(setup, method, SHARED), other)
    if state_bytes(before.checkpoints[-1]) != state_bytes(after[-1]):
        raise CheckFailedError("the trained state depends on validation or test data")


def handles_degenerate_clients(method: str, context: Context) -> None:
    """One sample, one class, fewer samples than a batch: such clients train and are scored."""
    setup = ragged_setup().but(local_steps=FEW_STEPS)
    for backend in BACKENDS:
        result, _ = finish(context.job(setup, method, Options(backend=backend)), setup.dataset)
        if len({row["client"] for row in result.clients}) != setup.partition.clients:
            raise CheckFailedError("a client is missing from the scores")


def fits_any_task(method: str, context: Context) -> None:
    """It works for 1, 3 and 10 classes, for dense and for convolutional client models."""
    for data, model in VARIETY:
        setup = tiny_setup(data, model, rule={"rule": "iid"}).but(visits=8, local_steps=FEW_STEPS)
        try:
            finish(context.job(setup, method), setup.dataset)
        except CheckFailedError as failure:
            raise CheckFailedError(f"on {data} with {model}: {failure}", failure.trace) from failure


CHECKS = [
    Check("source keeps to the public interface", source_is_fair),
    Check("runs to the end", runs, vital=True),
    Check("deterministic", deterministic),
    Check("resumed = uninterrupted, bitwise", resumable),
    Check("serial = Ray, bitwise", same_under_ray, needs="ray"),
    Check("loop = vmap = lockstep = graph, to tolerance", same_on_backends),
    Check("in lock-step = alone, bitwise", independent_of_company),
    Check("requests are values: traced = untraced, bitwise", requests_are_values),
    Check("blind to validation and test data", blind_to_held_out_data),
    Check("a round touches its cohort's data only", touches_its_cohort_only),
    Check("nothing kept or changed outside the state", keeps_nothing_outside),
    Check("evaluation leaves the state alone", evaluation_changes_nothing),
    Check("serves some clients as it serves all", serves_some_as_it_serves_all),
    Check("serves each sample alone", serves_each_sample_alone),
    Check("degenerate clients train and count", handles_degenerate_clients),
    Check("new clients are served within the allowance", enrolls_newcomers),
    Check("costs counted, budget kept", counts_costs),
    Check("1, 3 and 10 classes, dense and convolutional", fits_any_task),
]
