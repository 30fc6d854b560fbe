"""The trials of a suite's methods: planned, run through the ledger, widened where the choice is at an edge, chosen."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from pfl_bench.data.store import default_data_dir
from pfl_bench.errors import RequestError, unknown
from pfl_bench.registry import METHODS, Plugin
from pfl_bench.results.files import write_text
from pfl_bench.results.frame import read_runs
from pfl_bench.results.ledger import Ledger
from pfl_bench.results.lineage import differences, sources_of_record
from pfl_bench.results.primary import by_primary
from pfl_bench.results.shared import PATIENCE
from pfl_bench.running.executors import Executor
from pfl_bench.running.reuse import review
from pfl_bench.running.runner import execute, make_plan, missing
from pfl_bench.running.sources import Sources
from pfl_bench.running.watching import Watch, unwatched
from pfl_bench.spec.fields import plain_values
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec, make_config
from pfl_bench.spec.scenario import Scenario
from pfl_bench.spec.suite import Suite

from .choice import Choice, choose
from .grid import Grid, Point, draw_points, plain, refined, widened
from .table import COLUMNS, TRIALS_FILE, kept_rows

OF_METHOD = ("method:", "method helper:")
"""How keys of a method's own sources begin."""

WIDENINGS = 3
"""How often a grid is widened for a choice at its edge."""


@dataclass(frozen=True)
class Trials:
    """The trials of one method: the points of its grid, each at every tuning seed.

    ``fixed``: what the grid does not vary, if that is not the method's default.
    """

    method: str
    scenario: Scenario
    seeds: tuple[int, ...]
    grid: Grid
    points: tuple[Point, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def runs_at(self, point: Point) -> list[RunSpec]:
        """The runs that judge a point, by seed. RequestError where a value is none of the hyper-parameter's."""
        config = make_config(self.method, {**self.fixed, **point}, "search space")
        return [RunSpec(self.method, config, self.scenario, seed) for seed in self.seeds]

    @cached_property
    def runs_by_point(self) -> list[list[RunSpec]]:
        """All of them, as ``points`` are ordered: they compute their ids once."""
        return [self.runs_at(point) for point in self.points]

    @property
    def runs(self) -> list[RunSpec]:
        """All of them."""
        return [run for of_point in self.runs_by_point for run in of_point]

    def choice(self, reached: Mapping[str, float]) -> Choice | None:
        """What is chosen so far; ``reached``: percent on validation per run id, NaN or absent where it failed."""
        scores = [[reached.get(run.id, math.nan) for run in of_point] for of_point in self.runs_by_point]
        return choose(self.points, scores, self.grid)

    def widened(self, at: Point) -> "Trials":
        """With what lies beyond the grid's edges as seen from a point; itself where it is at none, or may not go on.

        A value that the method refuses is not taken up, so that the edge before it stays one.
        """
        grid, points = dict(self.grid), list(self.points)
        for name, values in widened(self.grid, at).items():
            point = {**at, name: values[-1]}
            if len(values) == len(self.grid[name]) or not (point in points or self._may_be(point)):
                continue
            grid[name] = values
            points += [point] if point not in points else []
        return replace(self, grid=grid, points=tuple(points)) if len(points) > len(self.points) else self

    def _may_be(self, point: Point) -> bool:
        return _takes(self.method, {**self.fixed, **point})


@dataclass(frozen=True)
class Means:
    """How trials are computed, and with what."""

    options: Options = field(default_factory=Options)
    data_dir: Path = field(default_factory=default_data_dir)
    plugins: tuple[Plugin, ...] = ()


@dataclass
class Tuned:
    """What came of it: by scenario and method the choice and the grid that it was chosen from; one line per run that
    failed; runs that are gone from the ledger."""

    choices: dict[tuple[str, str], Choice] = field(default_factory=dict)
    grids: dict[tuple[str, str], Grid] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)


def tuning_ledger(suite: Suite, out: Path) -> Ledger:
    """Where the trials of a suite are recorded."""
    return Ledger(out / f"{suite.name}-tuning")


def plan_trials(
    suite: Suite, scenario: Scenario, methods: Sequence[str], trials: int, seeds: Sequence[int]
) -> list[Trials]:
    """Equally many points for every method, on the suite's grid for it, as it is, or else on the method's own, refined
    where that has fewer; defaults first.

    What a grid does not vary is the suite's (its ``hyperparameters`` there), or else the method's default; that of the
    hyper-parameters that it does vary is among the trials.
    """
    own = suite.all_seeds()
    for seed in seeds:
        if seed in own:
            texts = ", ".join(dict.fromkeys([suite.seeds, *suite.seeds_at.values()]))
            raise RequestError(f"seed {seed} is one of the suite's own ({texts}); tune on others")
    for name in suite.search_space:
        METHODS.get(name)

    def of(method: str) -> Trials:
        own_grid = suite.search_space.get(method)
        grid = plain(METHODS.get(method).search_space if own_grid is None else own_grid)
        fixed = {k: v for k, v in suite.hyperparameters_of(method, scenario.id).items() if k not in grid}
        if own_grid is None:
            grid = refined(grid, trials, lambda name, value: _takes(method, {**fixed, name: value}))
        default = plain_values(make_config(method, fixed, "hyper-parameters"))
        for name in grid:
            if name not in default:
                raise unknown(f"hyper-parameter of {method}", name, default)
        return Trials(method, scenario, tuple(seeds), grid, tuple(draw_points(grid, trials, default)), fixed)

    return [of(method) for method in methods]


def _takes(method: str, values: Point) -> bool:
    try:
        return bool(make_config(method, values, "search space"))
    except RequestError:
        return False


def tune(
    planned: Sequence[Trials], ledger: Ledger, executor: Executor, watch: Watch = unwatched, means: Means | None = None,
    known: pd.DataFrame | None = None,
) -> Tuned:  # fmt: skip
    """Run the trials that the ledger does not have, widen grids, write ``tuning.csv``, and choose, per scenario and
    method. ``watch`` is told what happens. ``known``: trials that others ran, as ``known_trials`` reads them.
    """
    trials, tuned, means = list(planned), Tuned(), means or Means()
    known = pd.DataFrame(columns=COLUMNS) if known is None else known
    for widening in range(WIDENINGS + 1):
        frame = _run([run for each in trials for run in each.runs], ledger, executor, watch, tuned, means, known)
        done = frame[frame["status"] == "finished"]  # one that diverged has the best score of the time before
        reached = dict(zip(done["run_id"], done["validation_accuracy"].astype(float), strict=True))
        chosen = [each.choice(reached) for each in trials]
        wider = [each.widened(choice.values) if choice else each for each, choice in zip(trials, chosen, strict=True)]
        if widening == WIDENINGS or wider == trials:
            break
        trials = wider
    keys = [(each.scenario.id, each.method) for each in trials]
    tuned.grids = {key: each.grid for key, each in zip(keys, trials, strict=True)}
    tuned.choices = {key: choice for key, choice in zip(keys, chosen, strict=True) if choice}
    return tuned


def _run(
    wanted: Sequence[RunSpec], ledger: Ledger, executor: Executor, watch: Watch, tuned: Tuned, means: Means,
    known: pd.DataFrame,
) -> pd.DataFrame:  # fmt: skip
    """What the ledger has of the present code and what is known, which comes first; written down as ``tuning.csv``,
    with what that had besides."""
    others = set(known["run_id"])
    others |= set(tuned.failed)  # in an earlier widening: they would fail again
    runs = list({run.id: run for run in wanted if run.id not in others}.values())
    plan = make_plan(ledger.folder.name, runs, means.data_dir, means.options, means.plugins)
    with ledger.lock(PATIENCE):
        standing = review(plan.runs, plan.bases, ledger)
    with watch(runs, standing) as watcher:
        tuned.failed |= execute(plan, ledger, executor, watcher.listen, standing).failed
    with ledger.lock(PATIENCE):
        tuned.absent = [run_id for run_id in missing(plan, ledger) if run_id not in tuned.failed]
        there = by_primary(read_runs(ledger.folder))[COLUMNS]
        stale = set(review(plan.runs, plan.bases, ledger).renewed) | _of_other_code(
            there["run_id"], wanted, ledger, means
        )
        frame = there[~there["run_id"].isin(stale | set(known["run_id"]))]
        frame = frame if known.empty else pd.concat([frame, known], ignore_index=True)
        text = frame.to_csv(index=False, lineterminator="\n")
        has = {*there["run_id"], *known["run_id"], *(run.id for run in wanted)}
        write_text(ledger.folder / TRIALS_FILE, text + kept_rows(ledger.folder / TRIALS_FILE, has))
    return frame


def _of_other_code(ids: Iterable[str], wanted: Sequence[RunSpec], ledger: Ledger, means: Means) -> set[str]:
    """Which runs the ledger has of methods that are wanted, computed by another source of the method than the present
    one: points of a grid as it was before, which nobody asks for any more."""
    sources, present = Sources(means.plugins), {run.method: run for run in wanted}
    of_method = {name: _of_the_method(sources.of(run)) for name, run in present.items()}
    found = set()
    for run_id in set(ids) - {run.id for run in wanted}:
        record = ledger.record(run_id)
        if record is None or record.status == "failed" or record.method not in of_method:
            continue
        others = {k: v for k, v in sources_of_record(record).items() if not k.startswith(OF_METHOD)}
        if differences(record, others | of_method[record.method]):
            found.add(run_id)
    return found


def _of_the_method(sources: Mapping[str, str]) -> dict[str, str]:
    return {key: sha256 for key, sha256 in sources.items() if key.startswith(OF_METHOD)}
