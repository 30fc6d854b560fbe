"""Checks of a method's conduct: what its source says, what it takes, what it touches and what it leaves behind."""

from dataclasses import replace

import numpy as np
import torch

from pfl_bench.engine.checkpoint import dumps
from pfl_bench.registry import METHODS

from .check import CheckFailedError
from .kit import SHARED, Context, altered, finish, state_of, tensors_of
from .serving import trained
from .setup import brief_setup
from .source import findings

SHOWN = 3
"""Findings in the line that complains of them."""


def source_is_fair(method: str, context: Context) -> None:
    """The source, and that of helper files, uses the public interface and nothing that looks behind it."""
    try:
        found = findings(method, context.plugins)
    except OSError as error:
        where = METHODS.entry(method).origin
        raise CheckFailedError(f"the source cannot be read ({where!r}); put the method into a file") from error
    if found:
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise CheckFailedError("; ".join(map(str, found[:SHOWN])) + more)


def keeps_nothing_outside(method: str, context: Context) -> None:
    """A run leaves its modules' globals, its classes, and the process's settings and random numbers as they were."""
    changed = context.run(method).outside
    if changed:
        raise CheckFailedError(f"a run changes {', '.join(changed)}; what lasts belongs in the state, and random "
                               "numbers come from fed.generator")  # fmt: skip


def touches_its_cohort_only(method: str, context: Context) -> None:
    """The state after a round does not depend on the images of clients that did not take part."""
    setup, after = brief_setup(), []
    others = np.concatenate(setup.partition.train[2:])
    for dataset in (setup.dataset, altered(setup.dataset, others, labels=False)):
        harness = trained(method, context, replace(setup, dataset=dataset))
        harness.round(0, 1)
        after.append(dumps(harness.state))
    if after[0] != after[1]:
        raise CheckFailedError("the state after a round depends on the data of clients that did not take part in it")


def counts_costs(method: str, context: Context) -> None:
    """Work is counted within the budget, all of it; what moves between clients is metered."""
    watched, scenario = context.run(method, replace(SHARED, backend="loop")), brief_setup().scenario
    costs = watched.result.facts["costs"]
    if watched.watch.complaints:
        raise CheckFailedError(watched.watch.complaints[0])
    if costs["local_steps"] + costs["adapt_steps"] != watched.watch.paid:
        raise CheckFailedError(f"{costs['local_steps']} local and {costs['adapt_steps']} adaptation steps are counted, "
                               f"{watched.watch.paid} gradients were taken")  # fmt: skip
    if not 0 < costs["local_steps"] <= scenario.visits * scenario.local_steps:
        raise CheckFailedError(f"{costs['local_steps']} local steps counted; the budget is {scenario.visits} visits "
                               f"x {scenario.local_steps}")  # fmt: skip
    if costs["samples"] <= 0 or watched.result.facts["visits"] != scenario.visits:
        raise CheckFailedError("samples or visits were not counted")
    if bool(costs["bytes_down"]) != bool(costs["bytes_up"]):
        raise CheckFailedError(f"traffic goes one way only: {costs['bytes_down']} down, {costs['bytes_up']} up")
    if not costs["bytes_up"]:
        _check_isolation(method, context)


def _check_isolation(method: str, context: Context) -> None:
    """A method that sends nothing: with other data on client 0, the other clients' rows stay the same."""
    setup = brief_setup()
    _, changed = finish(context.job(setup, method, SHARED), altered(setup.dataset, setup.partition.train[0]))
    before, clients = context.run(method).checkpoints[-1], setup.partition.clients
    for a, b in zip(tensors_of(state_of(before)), tensors_of(state_of(changed[-1])), strict=True):
        rows = slice(1, None) if a.dim() and len(a) == clients else slice(None)
        if not torch.equal(a[rows] if a.dim() else a, b[rows] if b.dim() else b):
            raise CheckFailedError("no traffic was metered, yet one client's data reached the others")
