"""Tiny runs for checks to look at, and what can be compared of them."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from pfl_bench.client.params import State
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.engine import checkpoint
from pfl_bench.engine.events import Checkpoint, Event, Failure, RunResult
from pfl_bench.engine.per_client import PerClient
from pfl_bench.registry import METHODS, Plugin
from pfl_bench.running.job import Job, compute_job, failure, make_job
from pfl_bench.spec.options import Options

from . import outside
from .check import CheckFailedError
from .setup import TinySetup, brief_setup
from .source import sources
from .watch import Watch, watching

RTOL, ATOL = 1e-3, 1e-4
"""Back-ends sum in different orders; after a tiny run every state tensor must agree to this."""

TIMED = ("train_seconds", "eval_seconds")
EVERY_ROUND = Options(checkpoint_seconds=0.0)
"""A checkpoint after every round but the last."""

SHARED = replace(EVERY_ROUND, backend="vmap")
"""How the runs that checks share are computed."""


@dataclass(frozen=True)
class Run:
    """A tiny run that checks share. ``outside``: what it changed besides its state; ``watch``: where it was watched."""

    result: RunResult
    checkpoints: list[bytes]
    outside: list[str]
    watch: Watch

    @property
    def state(self) -> State:
        """The state before the last round, a copy."""
        found: State = state_of(self.checkpoints[-1])[0]
        return found


@dataclass(frozen=True)
class Context:
    """The methods under test and the plug-ins they need; Ray is started once for all of them.

    The runs of one method are kept, for several checks look at the same ones.
    """

    methods: tuple[str, ...]
    plugins: tuple[Plugin, ...] = ()
    _runs: dict[tuple[str, Options], Run] = field(default_factory=dict, compare=False, repr=False)

    def run(self, method: str, options: Options = SHARED) -> Run:
        """The tiny run of a method; on the back-end ``loop`` it is watched. CheckFailedError if it fails."""
        if (method, options) not in self._runs:
            for other in [key for key in self._runs if key[0] != method]:
                del self._runs[other]
            setup, modules = brief_setup(), self.modules(method)
            torch.rand(1)  # so that a method that seeds the global stream does not find it where it puts it
            before = outside.process() | outside.kept(modules)
            try:
                with watching() if options.backend == "loop" else nullcontext(Watch()) as watch:
                    found = outcome(_raising(self.job(setup, method, options), setup.dataset))
                changed = outside.changed(before, outside.process() | outside.kept(modules))
            finally:
                outside.restore()
            self._runs[method, options] = Run(*found, changed, watch)
        return self._runs[method, options]

    def modules(self, method: str) -> list[str]:
        """The modules that a method is made of: its own, and those beside it that it imports."""
        try:
            return [name for _, _, name in sources(METHODS.get(method).__module__, self.plugins)]
        except (OSError, SyntaxError):
            return []

    @cached_property
    def ray_results(self) -> dict[str, RunResult | Failure]:
        """The tiny run of every method, computed by Ray workers."""
        from pfl_bench.running.executors.ray import RayExecutor

        setup = brief_setup()
        jobs = [self.job(setup, method, Options(backend="vmap")) for method in self.methods]
        results: dict[str, RunResult | Failure] = {}
        for position, event in RayExecutor(workers=2).execute(jobs, {setup.scenario.dataset: setup.dataset}):
            if isinstance(event, RunResult | Failure):
                results[self.methods[position]] = event
        return results

    def job(self, setup: TinySetup, method: str, options: Options | None = None) -> Job:
        """The tiny run of a method, of at least two rounds."""
        spec = setup.spec(method)
        if spec.config.cohort >= setup.scenario.visits:
            spec = setup.spec(method, cohort=max(1, setup.scenario.visits // 2))
        return make_job(spec, setup.partition, options or Options(), self.plugins)


def finish(job: Job, dataset: ArrayDataset) -> tuple[RunResult, list[bytes]]:
    """Run to the end; the result and the checkpoints on the way. CheckFailedError if the run fails."""
    try:
        return outcome(_raising(job, dataset))
    finally:
        outside.restore()


def _raising(job: Job, dataset: ArrayDataset) -> Iterator[Event]:
    """The events of a job; what is raised in it becomes a CheckFailedError that has it as its cause."""
    try:
        yield from compute_job(job, dataset)
    except (GeneratorExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # as a run's end, exit() among them
        failed = failure(job.method, error)
        raise CheckFailedError(f"the run failed: {failed.reason}", failed.details) from error


def outcome(events: Iterable[Event]) -> tuple[RunResult, list[bytes]]:
    """A run's result and its checkpoints on the way, of its events. CheckFailedError if it failed."""
    checkpoints: list[bytes] = []
    for event in events:
        if isinstance(event, Checkpoint):
            checkpoints.append(event.data)
        elif isinstance(event, Failure):
            raise CheckFailedError(f"the run failed: {event.reason}", event.details)
        elif isinstance(event, RunResult):
            result = event
    if result.status != "finished":
        raise CheckFailedError(f"the run ended as {result.status}: {result.reason}")
    return result, checkpoints


def fingerprint(result: RunResult) -> str:
    """Hash of everything in a result but times: equal exactly if results are bitwise equal."""
    history = [{key: value for key, value in row.items() if key not in TIMED} for row in result.history]
    text = json.dumps([result.summary, history, result.clients], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def state_of(data: bytes) -> Any:
    """The method's state inside a checkpoint."""
    return checkpoint.loads(data)["states"]


def state_bytes(data: bytes) -> bytes:
    """The method's state inside a checkpoint, in a canonical form."""
    return checkpoint.dumps(state_of(data))


def altered(dataset: ArrayDataset, rows: np.ndarray, *, test: bool = False, labels: bool = True) -> ArrayDataset:
    """The same data set with other inputs (and labels) in these training rows and, if asked, in all test rows."""
    rng = np.random.default_rng(1)
    inputs, classes = dataset.train_inputs.copy(), dataset.train_labels.copy()
    inputs[rows] = _noise(dataset, inputs[rows], rng)
    if labels:
        classes[rows] = rng.integers(0, dataset.classes, len(rows))
    changed = replace(dataset, train_inputs=inputs, train_labels=classes)
    if test:
        noise = _noise(dataset, dataset.test_inputs, rng)
        changed = replace(changed, test_inputs=noise, test_labels=np.roll(dataset.test_labels, 1))
    return changed


def _noise(dataset: ArrayDataset, like: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random inputs of the same kind."""
    if like.dtype.kind == "f":
        return rng.normal(size=like.shape).astype(like.dtype) * np.asarray(dataset.std, like.dtype)
    return rng.integers(0, dataset.input.vocabulary or 256, like.shape, dtype=like.dtype)


def tensors_of(tree: Any) -> list[torch.Tensor]:
    """All tensors of a state, in order."""
    if isinstance(tree, PerClient):
        return list(tree.rows(torch.arange(tree.clients)).values())
    if isinstance(tree, torch.Tensor):
        return [tree]
    items = vars(tree).values() if hasattr(tree, "__dict__") and not isinstance(tree, dict) else tree
    if isinstance(tree, dict):
        items = tree.values()
    if isinstance(tree, str) or not hasattr(items, "__iter__"):
        return []
    return [tensor for item in items for tensor in tensors_of(item)]
