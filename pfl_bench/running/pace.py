"""How fast a run is: seen for a moment and, where its rounds are long, extrapolated from rounds of a few steps."""

import time
from dataclasses import dataclass, replace

from pfl_bench.engine.events import Progress, RunResult
from pfl_bench.errors import RequestError
from pfl_bench.registry import METHODS
from pfl_bench.spec.run import RunSpec
from pfl_bench.spec.scenario import Scenario

from .job import make_job, run_job
from .runner import Plan

FEW, TRAINING = ((2, 4), (10, 20)), 3
"""Local steps of the two rounds from which slow ones are extrapolated, and others for a method that refuses so few;
forward passes that training on a sample costs."""


def seconds_of(plan: Plan, run: RunSpec, seconds: float) -> float:
    """Of one run: what it needs before its first visit, its training and its evaluations.

    A run whose round alone takes longer than ``seconds`` is not waited for: its visits are extrapolated from two rounds
    of a few local steps, in which they are linear, and its evaluations from the same pace. (A method that takes some of
    its steps for something else is not quite linear: it is an estimate.)
    """
    for few in FEW:
        if run.scenario.local_steps <= few[1]:
            break
        try:
            pace = _extrapolated(plan, run, few, seconds)
        except (RequestError, RuntimeError):  # a method that divides its steps may need more of them
            continue
        return (pace or _pace(plan, run, seconds)).of(run.scenario)
    return _pace(plan, run, seconds).of(run.scenario)


def _extrapolated(plan: Plan, run: RunSpec, few: tuple[int, int], seconds: float) -> "_Pace | None":
    """From rounds of so many steps; None where a whole round takes no more than so many seconds."""
    scenario = run.scenario
    less = _pace(plan, _with_steps(run, few[0]), 0)
    if less.visit * run.config.cohort * scenario.local_steps / few[0] <= seconds:
        return None
    more = _pace(plan, _with_steps(run, few[1]), 0)
    step = max(0.0, more.visit - less.visit) / (few[1] - few[0])
    visit = less.visit + step * (scenario.local_steps - few[0])
    evaluation = _scored(plan, run) * step / scenario.batch_size / TRAINING
    if METHODS.get(run.method).moment == "adapted":
        steps = scenario.local_steps if scenario.adapt_steps is None else scenario.adapt_steps
        share = scenario.eval_every / (scenario.adapt_every or scenario.eval_every)
        evaluation += scenario.clients * steps * step * share
    return _Pace(more.setup, visit, evaluation)


@dataclass(frozen=True)
class _Pace:
    """Seconds before the first visit, of a visit and of an evaluation."""

    setup: float
    visit: float
    evaluation: float

    def of(self, scenario: Scenario) -> float:
        """Seconds of a whole run."""
        return self.setup + scenario.visits * (self.visit + self.evaluation / scenario.eval_every)


def _pace(plan: Plan, run: RunSpec, seconds: float) -> _Pace:
    """What a run shows in so many seconds, with an evaluation if there is one in four times as many; 0: at once.

    What it shows first is left out, unless that is all, because it records what later rounds replay.
    """
    job = make_job(run, plan.partition(run), plan.options_of(run), plan.plugins)
    began, most = time.monotonic(), 4 * seconds
    seen: list[tuple[int, float, float]] = [(0, 0.0, 0.0)]
    evaluations, ended = 0, False
    for event in run_job(job, plan.datasets[run.scenario.dataset]):
        if isinstance(event, RunResult):
            if event.status != "finished" and len(seen) == 1:
                raise RuntimeError(event.reason)
            ended = True
            break
        if not isinstance(event, Progress):
            reason = getattr(event, "reason", "")
            if reason:
                raise RuntimeError(reason)
            continue
        seen.append((event.visits, event.costs["train_seconds"], event.costs["eval_seconds"]))
        evaluations += event.accuracy is not None
        spent = time.monotonic() - began
        if len(seen) > 2 and (spent > most or (spent > seconds and evaluations) or not seconds):
            break
    spent = time.monotonic() - began
    first, last = seen[0 if ended else min(1, len(seen) - 2)], seen[-1]
    visit = (last[1] - first[1]) / max(1, last[0] - first[0])
    evaluation = last[2] / max(1, evaluations)
    setup = spent - last[0] * visit - evaluations * evaluation if ended else spent - last[1] - last[2]
    return _Pace(setup, visit, evaluation)


def _with_steps(run: RunSpec, steps: int) -> RunSpec:
    """The run with visits of so many steps, and with no evaluation before its last round."""
    never = {"eval_every": run.scenario.visits, "adapt_every": run.scenario.visits}
    return replace(run, scenario=run.scenario.model_copy(update={"local_steps": steps, **never}))


def _scored(plan: Plan, run: RunSpec) -> int:
    """Samples that an evaluation scores at most: of validation, and of test where that improved."""
    partition = plan.partition(run)
    return sum(len(own) for split in (partition.validation, partition.test) for own in split)
