"""The client simulator: one run from its first client visit to its result, as a stream of events."""

import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from pfl_bench.client.params import State
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import Partition
from pfl_bench.errors import DivergedError, UnsuitedError
from pfl_bench.registry import METHODS
from pfl_bench.seeds import numpy_generator
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec
from pfl_bench.spec.scenario import EnrollSpec

from . import clock, stop
from .clients import client_ids
from .clusters import cluster_rows, clusters_of
from .enrollment import enroll
from .events import Checkpoint, Event, Progress, Row, RunResult, Status
from .footprint import state_sizes
from .kept import Kept
from .meter import BudgetError, Costs
from .method import Method, Moment
from .moments import evaluate_moment
from .places import Company, Place, alone, backends_of, build_places
from .process import peak_memory_bytes, reset_peak_memory
from .run_state import RunState
from .selection import is_selectable, summarise
from .union import union_rows, union_sets

Places = tuple[Place, ...]

PROGRESS_SECONDS = 0.5


def simulate(
    spec: RunSpec,
    dataset: ArrayDataset,
    partition: Partition,
    options: Options,
    resume_from: bytes | None = None,
    company: Company = alone,
) -> Iterator[Event]:
    """Execute a run, from a checkpoint if there is one, in company or alone. The last event is its ``RunResult``.

    Asked to stop (``stop``), it ends with a checkpoint instead. A method that is unsuited, and NaN or infinity, end in
    a result too; other exceptions pass through.
    """
    reset_peak_memory()
    device = torch.device(options.device)
    places = build_places(spec, dataset, partition, options, company)
    method: Method = METHODS.get(spec.method)(spec.config)
    run, kept = RunState([], Costs()), Kept(method.moment) if options.keep_models else None
    try:
        resumed = _resume(resume_from, device, spec.id, options.state == "disk")
        if resumed is None:
            _initialise(run, method, places, spec)
        else:
            run = resumed
            yield Progress(run.visits, None)
        saved = reported = time.monotonic()
        while run.visits < spec.scenario.visits:
            evaluated = _advance(run, method, places, spec, kept)
            if evaluated is not None or time.monotonic() - reported >= PROGRESS_SECONDS:
                yield Progress(run.visits, evaluated, run.costs.as_dict())
                reported = time.monotonic()
            stopping = stop.asked()
            due = stopping or time.monotonic() - saved >= options.checkpoint_seconds
            if due and run.visits < spec.scenario.visits:
                yield Checkpoint(run.dumps(spec.id), list(run.history), backends_of(places))
                saved = time.monotonic()
                if stopping:
                    return
        tables = _last_words(run, method, places, spec, partition, dataset)
        reason = ""
        if spec.scenario.enroll is not None:
            tables["novel"], reason = _enrolled(run, method, places[0], spec.scenario.enroll, partition)
        models = kept.dumps(spec, places, dataset) if kept is not None else None
        yield replace(_result("finished", reason, run, method, places, tables), models=models)
    except UnsuitedError as error:
        yield RunResult("skipped", str(error))
    except DivergedError as error:
        yield _result("diverged", str(error), run, method, places, {})


def _resume(data: bytes | None, device: torch.device, run_id: str, on_disk: bool) -> RunState | None:
    """The run in a checkpoint, or None to start over: there is none, or it is in doubt (drivers tell beforehand)."""
    if data is None:
        return None
    try:
        return RunState.loads(data, device, run_id, on_disk)
    except ValueError as error:
        warnings.warn(f"{run_id} starts over: {error}", stacklevel=2)
        return None


def draw_cohort(seed: int, round: int, clients: int, size: int) -> np.ndarray:
    """Distinct clients whom a round asks, uniformly at random; the same for all methods with this cohort size."""
    return numpy_generator(seed, "cohorts", round).choice(clients, size=min(size, clients), replace=False)


def _initialise(run: RunState, method: Method, places: Places, spec: RunSpec) -> None:
    """The state before the first round. What is trained here is taken from the visits."""
    scenario, started = spec.scenario, clock.now()
    for place in places[:1] if method.joint else places:
        fed = run.federation(place, "init", scenario)
        state = method.init(fed)
        fed.close()
        run.states.append(_a_state(state, f"{spec.method}.init"))
    used, allowed = run.costs.local_steps, scenario.visits * scenario.local_steps
    if used > allowed:
        raise BudgetError(f"{spec.method} took {used} mini-batch gradients in init; the whole budget is {allowed}")
    run.visits = run.costs.asked_visits = math.ceil(used / scenario.local_steps)
    if run.visits >= scenario.visits:
        raise UnsuitedError(f"visits={scenario.visits}: {spec.method}'s start takes them all, and no round is left")
    if used:
        run.costs.train_seconds += clock.now() - started


def _a_state(returned: object, hook: str) -> State:
    if not isinstance(returned, State):
        raise TypeError(f"{hook} returned {type(returned).__name__}; it must return the State")
    return returned


def _advance(run: RunState, method: Method, places: Places, spec: RunSpec, kept: Kept | None = None) -> float | None:
    """One round and, where due, an evaluation; returns the primary metric of the official one on validation.

    ``kept`` receives the models of the last one.
    """
    scenario, started = spec.scenario, clock.now()
    size = min(spec.config.cohort, scenario.visits - run.visits)
    asked = draw_cohort(spec.seed, run.round, places[0].group.population, size)
    ids = places[0].group.availability.present(asked, run.round)
    run.costs.asked_visits += len(asked)
    before, feds = run.costs.local_steps, []
    for position, place in enumerate(places):
        own = ids[ids % len(places) == position] // len(places)
        if len(own):
            fed = run.federation(place, "train", scenario)
            after = method.round(fed, run.state(position), client_ids(own, place.group.device))
            run.states[position % len(run.states)] = _a_state(after, f"{spec.method}.round")
            feds.append(fed)
    used, allowed = run.costs.local_steps - before, len(ids) * scenario.local_steps
    if used > allowed:
        raise BudgetError(
            f"{spec.method} took {used} mini-batch gradients in a round of {len(ids)} visits; the budget is {allowed}, "
            f"fed.local_steps={scenario.local_steps} per client"
        )
    for fed in feds:
        fed.check_spent(f"{spec.method}.round")
        fed.close()
    visits = run.visits
    run.visits, run.round = visits + len(ids), run.round + 1
    run.costs.train_seconds += clock.now() - started
    due = [
        moment
        for moment in method.moments()
        if run.visits == scenario.visits
        or _crossed(visits, run.visits, _cadence(scenario.eval_every, scenario.adapt_every, moment))
    ]
    if not due:
        return None
    started = clock.now()
    itself = is_selectable(method.selected_from, visits, run.visits, scenario.visits)
    last = run.visits == scenario.visits
    union = union_sets(places, spec.seed) if last else ()
    rows: list[Row] = []
    for moment in due:
        own = moment == method.moment
        rows += evaluate_moment(
            run, method, places, moment, scenario,
            selectable=itself, union=union if own else (), kept=kept if last and own else None,
        )  # fmt: skip
    run.costs.eval_seconds += clock.now() - started
    run.history += [{**row, **run.costs.as_dict()} for row in rows]
    official = [row for row in rows if (row["moment"], row["split"]) == (method.moment, "validation")]
    return official[0][scenario.primary] if official else None


def _cadence(eval_every: int, adapt_every: int | None, moment: Moment) -> int:
    return (adapt_every or eval_every) if moment == "adapted" else eval_every


def _crossed(before: int, after: int, every: int) -> bool:
    return before // every < after // every


def _last_words(
    run: RunState, method: Method, places: Places, spec: RunSpec, partition: Partition, dataset: ArrayDataset
) -> dict[str, list[Row]]:
    """What is recorded once, at the end of the budget: models on everybody's test data, what the server knows of its
    clients."""
    last = run.picks.get(f"{method.moment}/last", {})
    tables: dict[str, list[Row]] = {"union": union_rows(last["union"])} if "union" in last else {}
    if method.defines("client_vectors") and len(run.states) == 1:
        fed = run.federation(places[0], "evaluate", spec.scenario)
        vectors = method.client_vectors(fed, run.states[0]).cpu().numpy()
        tables["vectors"] = [
            {"client": client, **{f"v{k}": float(value) for k, value in enumerate(vector)}}
            for client, vector in enumerate(vectors)
        ]
    if method.defines("client_clusters") and len(places) == 1:
        aside = replace(run, costs=run.costs.copy())  # to be asked is no part of what the method costs
        clusters = clusters_of(method, aside.federation(places[0], "evaluate", spec.scenario), run.states[0])
        tables["clusters"] = cluster_rows(clusters, partition, dataset)
    return tables


def _enrolled(
    run: RunState, method: Method, place: Place, spec: EnrollSpec, partition: Partition
) -> tuple[list[Row], str]:
    """Rows of novel clients; or none, and why: what was trained stands, whatever a newcomer's allowance is too small
    for."""
    try:
        return enroll(method, run.states[0], place, run.costs, partition, spec), ""
    except UnsuitedError as error:
        return [], f"novel clients are not enrolled in {spec.steps} steps (enroll.steps): {error}"


def _result(
    status: Status, reason: str, run: RunState, method: Method, places: Places, tables: dict[str, list[Row]]
) -> RunResult:
    group = places[0].group
    sizes = {n: len(own) for at in places for n, own in zip(at.group.numbers, at.group.members, strict=True)}
    summary, clients = summarise(run.picks, [sizes[number] for number in range(group.population)])
    kept = [state_sizes(state) for state in run.states] or [(0, 0)]
    facts = {
        "official_moment": method.moment,
        "visits": run.visits,
        "rounds": run.round,
        "state_floats": max(own for own, _ in kept),
        "shared_floats": sum(shared for _, shared in kept),
        "client_model_size": max(place.group.model.size for place in places),
        "backend": backends_of(places),
        "device": str(group.device),
        "peak_memory_bytes": peak_memory_bytes(group.device),
        "costs": run.costs.as_dict(),
        "enrolls": method.defines("enroll"),
    }
    return RunResult(status, reason, summary, run.history, clients, tables, facts)
