"""The client simulator: one run from its first client visit to its result, as a stream of events."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch

from . import checkpoint
from .backends import choose_backend
from .client_model import make_model
from .costs import Costs
from .data import ArrayDataset
from .errors import DivergedError, UnsuitedError
from .evaluation import EvaluationSet, evaluate
from .events import Checkpoint, Event, Options, Progress, Row, RunResult, Status
from .federation import Cohort, Federation
from .memory import peak_memory_bytes, reset_peak_memory
from .method import Method, Moment
from .params import State, stacked
from .partitioner import Partition
from .pool import ImagePool
from .registry import METHODS
from .runspec import RunSpec
from .seeds import numpy_generator
from .selection import Picks, remember, summarise

PROGRESS_SECONDS = 0.5


@dataclass
class _Run:
    """The explicit state of a run; what ``checkpoint`` keeps."""

    state: State
    costs: Costs
    round: int = 0
    visits: int = 0
    history: list[Row] = field(default_factory=list)
    picks: Picks = field(default_factory=dict)

    def dumps(self) -> bytes:
        return checkpoint.dumps({**vars(self), "costs": self.costs.as_dict()})

    @classmethod
    def loads(cls, data: bytes, device: torch.device) -> "_Run":
        tree = checkpoint.loads(data, device)
        return cls(**{**tree, "costs": Costs(**tree["costs"])})


@dataclass(frozen=True)
class _Arena:
    """The federation a method sees, and what it does not: the validation and test sets."""

    fed: Federation
    validation: EvaluationSet
    test: EvaluationSet


def build_federation(
    spec: RunSpec, dataset: ArrayDataset, partition: Partition, device: torch.device, backend: str = "auto"
) -> Federation:
    """The training clients of a run; it holds training samples only."""
    scenario = spec.scenario
    model = make_model(scenario.model, dataset.input_shape, dataset.classes, scenario.precision)
    training = len(partition.train) - partition.novel
    return Federation(
        model=model,
        backend=choose_backend(backend, model, device),
        pool=ImagePool.of(dataset.train_images, dataset.train_labels, dataset.mean, dataset.std, device),
        members=partition.train[:training],
        classes=dataset.classes,
        seed=spec.seed,
        local_steps=scenario.local_steps,
        batch_size=scenario.batch_size,
        batch_mode=scenario.batches,
    )


def _build_arena(spec: RunSpec, dataset: ArrayDataset, partition: Partition, options: Options) -> _Arena:
    device = torch.device(options.device)
    fed = build_federation(spec, dataset, partition, device, options.backend)
    unseen = ImagePool.of(dataset.test_images, dataset.test_labels, dataset.mean, dataset.std, device)
    return _Arena(
        fed,
        EvaluationSet.of(fed.pool, partition.validation[: fed.clients]),
        EvaluationSet.of(unseen, partition.test[: fed.clients]),
    )


def simulate(
    spec: RunSpec,
    dataset: ArrayDataset,
    partition: Partition,
    options: Options,
    resume_from: bytes | None = None,
) -> Iterator[Event]:
    """Execute a run, from a checkpoint if there is one. The last event is its ``RunResult``.

    A method that is unsuited, and NaN or infinity, end in a result too; other exceptions pass through.
    """
    reset_peak_memory()
    arena = _build_arena(spec, dataset, partition, options)
    method: Method = METHODS.get(spec.method)(spec.config)
    run = _Run(State(), Costs())
    try:
        resumed = _resume(resume_from, arena.fed.device)
        if resumed is None:
            run.state = method.init(arena.fed)
        else:
            run = resumed
            yield Progress(run.visits, None)
        saved = reported = time.monotonic()
        while run.visits < spec.scenario.visits:
            evaluated = _advance(run, method, arena, spec)
            if evaluated is not None or time.monotonic() - reported >= PROGRESS_SECONDS:
                yield Progress(run.visits, evaluated)
                reported = time.monotonic()
            if time.monotonic() - saved >= options.checkpoint_seconds and run.visits < spec.scenario.visits:
                yield Checkpoint(run.dumps())
                saved = time.monotonic()
        yield _result("finished", "", run, method, arena)
    except UnsuitedError as error:
        yield RunResult("skipped", str(error))
    except DivergedError as error:
        yield _result("diverged", str(error), run, method, arena)


def _resume(data: bytes | None, device: torch.device) -> _Run | None:
    """The run in a checkpoint, or None to start over: there is none, or it is damaged."""
    if data is None:
        return None
    try:
        return _Run.loads(data, device)
    except (ValueError, TypeError, KeyError):
        return None


def draw_cohort(seed: int, round: int, clients: int, size: int) -> np.ndarray:
    """Distinct clients of a round, uniformly at random; the same for all methods with this cohort size."""
    return numpy_generator(seed, "cohorts", round).choice(clients, size=min(size, clients), replace=False)


def _advance(run: _Run, method: Method, arena: _Arena, spec: RunSpec) -> float | None:
    """One round and, where due, an evaluation; returns the official validation accuracy if there was one."""
    scenario, started = spec.scenario, time.perf_counter()
    size = min(spec.config.cohort, scenario.visits - run.visits)
    ids = draw_cohort(spec.seed, run.round, arena.fed.clients, size)
    cohort = Cohort.of(ids, arena.fed.device)
    fed = _at(arena.fed, run, scenario.visits, "train", cohort)
    before = run.costs.local_steps
    run.state = method.round(fed, run.state, cohort.clients)
    used, allowed = run.costs.local_steps - before, len(ids) * scenario.local_steps
    if used > allowed:
        raise RuntimeError(
            f"{spec.method} took {used} mini-batch gradients in a round of {len(ids)} visits; the budget is {allowed}"
        )
    visits = run.visits
    run.visits, run.round = visits + len(ids), run.round + 1
    run.costs.train_seconds += time.perf_counter() - started
    due = [
        moment
        for moment in method.moments()
        if run.visits == scenario.visits
        or _crossed(visits, run.visits, _cadence(scenario.eval_every, scenario.adapt_every, moment))
    ]
    if not due:
        return None
    started = time.perf_counter()
    rows = [row for moment in due for row in _evaluate_moment(run, method, arena, moment, scenario.visits)]
    run.costs.eval_seconds += time.perf_counter() - started
    run.history += [{**row, **run.costs.as_dict()} for row in rows]
    return next((r["accuracy"] for r in rows if r["moment"] == method.moment and r["split"] == "validation"), None)


def _at(
    fed: Federation, run: _Run, budget: int, phase: Literal["train", "evaluate"], cohort: Cohort | None = None
) -> Federation:
    return fed.at(run.round, run.visits / budget, phase, run.costs, cohort)


def _cadence(eval_every: int, adapt_every: int | None, moment: Moment) -> int:
    return (adapt_every or eval_every) if moment == "adapted" else eval_every


def _crossed(before: int, after: int, every: int) -> bool:
    return before // every < after // every


def _evaluate_moment(run: _Run, method: Method, arena: _Arena, moment: Moment, budget: int) -> list[Row]:
    """Score every client on validation and test; remember the best (on validation) and the last test scores."""
    fed = _at(arena.fed, run, budget, "evaluate")
    clients = fed.everyone
    if moment == "global":
        params = stacked(method.global_params(fed, run.state), fed.clients)
    elif moment == "received":
        params = method.client_params(fed, run.state, clients)
    else:
        params = method.adapt(fed, run.state, clients)
    scores = {
        split: evaluate(fed.model, fed.backend, params, data, clients)
        for split, data in (("validation", arena.validation), ("test", arena.test))
    }
    broken = np.flatnonzero(~np.isfinite(scores["validation"].loss))
    if len(broken):
        raise DivergedError(f"NaN or infinite loss for client {broken[0]} after {run.visits} client visits")
    remember(run.picks, moment, run.visits, scores["validation"], scores["test"])
    return [
        {"visits": run.visits, "round": run.round, "moment": moment, "split": split, **scored.summary()}
        for split, scored in scores.items()
    ]


def _result(status: Status, reason: str, run: _Run, method: Method, arena: _Arena) -> RunResult:
    sizes = [len(own) for own in arena.fed.members]
    summary, clients = summarise(run.picks, sizes)
    facts = {
        "official_moment": method.moment,
        "visits": run.visits,
        "rounds": run.round,
        "client_model_size": arena.fed.model.size,
        "backend": arena.fed.backend.name,
        "device": str(arena.fed.device),
        "peak_memory_bytes": peak_memory_bytes(arena.fed.device),
        "costs": run.costs.as_dict(),
    }
    return RunResult(status, reason, summary, run.history, clients, facts)
