"""What a request would take: how many runs, hours and gigabytes, from a short measurement of each kind of run."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from pfl_bench.client.build import make_model
from pfl_bench.engine.process import peak_memory_bytes
from pfl_bench.errors import one_line
from pfl_bench.registry import METHODS, Plugin
from pfl_bench.results.ledger import Ledger
from pfl_bench.running.executors.choice import resolve_executor
from pfl_bench.running.pace import seconds_of
from pfl_bench.running.reuse import review
from pfl_bench.running.runner import Plan, resolve_device
from pfl_bench.spec.run import RunSpec

from .request import RunRequest, Wanted
from .run import plan_request

SECONDS, TOGETHER = 3.0, 120.0
"""How long a kind of run is measured, and all of them together, before each gets its share of it; what has long rounds
takes some four times as long."""

HISTORY_BYTES, CLIENT_BYTES, RECORD_BYTES = 280, 70, 4000
"""What a row of ``history.csv`` and of ``clients.csv`` takes on a disk, and ``run.json``: of the published runs."""

RUNS_PER_GPU = 4


@dataclass(frozen=True)
class Kind:
    """The runs of a method on a scenario: how many are missing; of one, its seconds, the bytes of its results and those
    of the process that computes it (None where that cannot be known); why it could not be measured, if so (then its
    seconds are NaN)."""

    scenario: str
    method: str
    runs: int
    seconds: float
    disk_bytes: float
    memory_bytes: int | None = None
    trouble: str = ""


@dataclass(frozen=True)
class Estimate:
    """``finished``: runs that are there. ``workers``: runs at a time."""

    kinds: Sequence[Kind]
    finished: int
    workers: int

    @property
    def runs(self) -> int:
        """How many are missing."""
        return sum(kind.runs for kind in self.kinds)

    @property
    def hours(self) -> float:
        """With so many workers, none of them idle; what could not be measured is left out."""
        seconds = sum(kind.runs * kind.seconds for kind in self.kinds if not kind.trouble)
        return seconds / 3600 / max(1, min(self.workers, self.runs))

    @property
    def memory_bytes(self) -> int | None:
        """The most that one run was seen to need."""
        return max((kind.memory_bytes for kind in self.kinds if kind.memory_bytes is not None), default=None)

    @property
    def disk_bytes(self) -> float:
        """What the results will take."""
        return sum(kind.runs * kind.disk_bytes for kind in self.kinds)


def estimate(
    request: RunRequest, wanted: Wanted, plugins: tuple[Plugin, ...], tell: Callable[[int, float], None] | None = None
) -> Estimate:
    """Measure one run of every method and scenario for a moment, in this process. Nothing is written.

    ``tell`` is told, before, how many kinds of runs are measured and for how many seconds; a kind whose rounds or
    evaluations are long takes some four times its share.
    """
    device = resolve_device(request.device)
    plan = plan_request(request, wanted, plugins, device)
    standing = review(plan.runs, plan.bases, Ledger(request.out / plan.suite), request.fresh)
    families: dict[tuple[str, str], list[RunSpec]] = {}
    for run in plan.runs:
        if run.id not in standing.reused:
            families.setdefault((run.scenario.id, f"{run.method} {run.config_hash}"), []).append(run)
    each = min(SECONDS, max(0.5, TOGETHER / max(1, len(families))))
    if tell is not None:
        tell(len(families), each * len(families))
    kinds = [_measured(plan, runs, each) for runs in families.values()]
    return Estimate(kinds, len(standing.reused), _workers(request, device))


def _workers(request: RunRequest, device: str) -> int:
    if request.workers is not None or resolve_executor(request.executor) == "serial":
        return request.workers or 1
    if device != "cpu":
        return RUNS_PER_GPU * (torch.cuda.device_count() if device == "cuda" else 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _measured(plan: Plan, runs: Sequence[RunSpec], seconds: float) -> Kind:
    run = runs[0]
    own, trouble = float("nan"), ""
    try:
        own = seconds_of(plan, run, seconds)
    except Exception as error:  # the run would fail, not the estimate
        trouble = one_line(error)
    memory = peak_memory_bytes(torch.device(plan.options.device))
    return Kind(run.scenario.id, run.method, len(runs), own, _disk(plan, run), memory, trouble)


def _disk(plan: Plan, run: RunSpec) -> float:
    """Tables of a run, and its models if they are kept."""
    scenario, moments = run.scenario, len(METHODS.get(run.method)(run.config).moments())
    evaluations, training = scenario.visits / scenario.eval_every, scenario.clients - scenario.novel
    tables = RECORD_BYTES + 2 * moments * (evaluations * HISTORY_BYTES + training * CLIENT_BYTES)
    if not plan.options.keep_models:
        return tables
    dataset = plan.datasets[scenario.dataset]
    sizes = [make_model(name, dataset.input, dataset.classes).size for name in scenario.models]
    copies = 1.0 if METHODS.get(run.method).moment == "global" else training / len(sizes)
    return tables + 4 * copies * sum(sizes)
