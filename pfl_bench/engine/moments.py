"""Evaluation at a moment: what the clients would use to predict, and how well they do with it."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.utils import _pytree as pytree

from pfl_bench.client.params import State, stacked
from pfl_bench.client.requests import Served
from pfl_bench.errors import DivergedError
from pfl_bench.spec.scenario import Scenario

from .clients import client_ids
from .evaluation import EvaluationSet, Scores, as_served, checked, evaluate
from .events import Row
from .federation import Federation
from .kept import Kept
from .meter import BudgetError
from .method import MOMENT_HOOKS, Method, Moment
from .places import Place
from .run_state import RunState
from .selection import remember
from .unchanged import marks
from .union import measured

SERVED_VALUES = 2**26
"""Parameters of clients' models in memory at a time while they are evaluated."""


def evaluate_moment(
    run: RunState,
    method: Method,
    places: Sequence[Place],
    moment: Moment,
    scenario: Scenario,
    *,
    selectable: bool = True,
    union: Sequence[EvaluationSet] = (),
    kept: Kept | None = None,
) -> list[Row]:
    """Score every client on validation and test; remember the best (on validation) and the last test scores.

    ``selectable``: whether this evaluation may be the best. ``union``: per place, what the same models are scored on
    for the global score (``union.union_sets``), if they are. ``kept`` receives the models, if they are to be kept.
    """
    parts: dict[str, list[Scores]] = {"validation": [], "test": [], **({"union": []} if union else {})}
    for position, place in enumerate(places):
        fed = run.federation(place, "adapt" if moment == "adapted" else "evaluate", scenario)
        for clients in portions(fed):
            before, as_it_was = run.costs.adapt_steps, marks(vars(run.state(position)))
            served = serve(method, fed, run.state(position), moment, clients)
            if marks(vars(run.state(position))) != as_it_was:
                raise TypeError(
                    f"{method.name}.{MOMENT_HOOKS[moment]} changes the state, which only init and round may"
                )
            if kept is not None:
                kept.add(position, served)
            used, allowed = run.costs.adapt_steps - before, len(clients) * scenario.adapt_allowance
            if used > allowed:
                raise BudgetError(
                    f"{method.name}.adapt took {used} mini-batch gradients for {len(clients)} clients; the scenario's "
                    f"adapt_steps={scenario.adapt_allowance} allows {allowed}: adapt may take fed.local_steps each"
                )
            fed.check_spent(f"{method.name}.adapt")
            for each, data in zip(
                parts.values(), (place.validation, place.test, *union[position : position + 1]), strict=True
            ):
                each.append(evaluate(fed.model, place.group.backend, served, data, clients))
        fed.close()
    order = np.argsort([number for place in places for number in place.group.numbers])
    scores = {split: Scores.joined(each, order) for split, each in parts.items()}
    broken = np.flatnonzero(~np.isfinite(scores["validation"].loss))
    if len(broken):
        raise DivergedError(f"NaN or infinite loss for client {broken[0]} after {run.visits} client visits")
    own = scores["validation"], scores["test"]
    remember(run.picks, moment, run.visits, *own, primary=scenario.primary, selectable=selectable)
    if union:
        run.picks[f"{moment}/last"]["union"] = measured(scores["union"], places)
    return [
        {"visits": run.visits, "round": run.round, "moment": moment, "split": split, **scores[split].summary()}
        for split in ("validation", "test")
    ]


def portions(fed: Federation) -> Sequence[Tensor]:
    """All clients, as many at a time as memory should hold models of."""
    together = max(1, SERVED_VALUES // fed.model.size)
    ids = np.arange(fed.clients)
    return [client_ids(ids[first : first + together], fed.device) for first in range(0, fed.clients, together)]


def serve(method: Method, fed: Federation, state: State, moment: Moment, clients: Tensor) -> Served:
    """What these clients use to predict at a moment, stacked. TypeError or ValueError names the hook that gave it."""
    hook, count = f"{method.name}.{MOMENT_HOOKS[moment]}", len(clients)
    if moment == "adapted":
        return checked(as_served(method.adapt(fed, state, clients), hook), fed.model, count, hook)
    if moment == "received":
        return checked(as_served(method.client_params(fed, state, clients), hook), fed.model, count, hook)
    shared = as_served(method.global_params(fed, state), hook)
    aux = pytree.tree_map_only(Tensor, lambda leaf: leaf.expand(count, *leaf.shape), shared.aux)
    return checked(Served(stacked(shared.params, count), shared.predict, aux), fed.model, count, hook)
