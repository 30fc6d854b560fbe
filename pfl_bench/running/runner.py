"""From a request to a ledger full of results: check everything first, then run what is not there yet."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from pfl_bench.client.backends import choose_backend
from pfl_bench.client.build import make_model
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import Partition
from pfl_bench.data.splitting import scenario_partition
from pfl_bench.data.store import load_dataset
from pfl_bench.engine import stop
from pfl_bench.engine.events import Event, Failure, RunResult
from pfl_bench.errors import RequestError, about, shown
from pfl_bench.registry import Plugin
from pfl_bench.results.ledger import Ledger
from pfl_bench.spec.options import Options, check_device
from pfl_bench.spec.run import RunSpec

from .executors import Executor, Update
from .fit import check_clients, check_fit
from .guard import harmless
from .job import Job, make_job
from .keeping import Keeper
from .lockstep.companies import in_lockstep
from .reuse import Basis, Standing, review
from .sources import Sources


@dataclass(frozen=True)
class Plan:
    """A checked request: runs, the data they need, one partition per scenario and seed, and how to compute.

    ``bases``: by run id, what each run is computed on.
    """

    suite: str
    runs: Sequence[RunSpec]
    datasets: Mapping[str, ArrayDataset]
    partitions: Mapping[tuple[str, int], Partition]
    options: Options
    plugins: tuple[Plugin, ...] = ()
    bases: Mapping[str, Basis] = field(default_factory=dict)

    def partition(self, run: RunSpec) -> Partition:
        """The run's partition."""
        return self.partitions[run.scenario.id, run.seed]

    def options_of(self, run: RunSpec) -> Options:
        """How the run is computed: if it has company in this request, so that its numbers do not depend on it."""
        if in_lockstep(run, self.runs, self.datasets[run.scenario.dataset], self.options):
            return replace(self.options, backend="lockstep")
        return self.options


@dataclass
class Outcome:
    """What became of the runs of a request, by run id. ``renewed``: why a recorded run was not reused."""

    reused: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    renewed: dict[str, str] = field(default_factory=dict)


Listener = Callable[[RunSpec, Event], None]


def resolve_device(name: str) -> str:
    """``auto`` is the GPU where there is one. RequestError for a device that is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    check_device(name)
    device = torch.device(name)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        raise RequestError(f"device {name!r} is not there; this machine has {count} CUDA devices")
    return name


@harmless()
def make_plan(
    suite: str,
    runs: Sequence[RunSpec],
    data_dir: Path,
    options: Options,
    plugins: tuple[Plugin, ...] = (),
) -> Plan:
    """Load the data, cut the partitions, and try the models and the back-end, so that wrong requests end here."""
    sources = Sources(plugins)
    origins = {
        run.id: sources.of(run) for run in runs
    }  # first: what is edited while data load has been read as it runs
    scenarios = {run.scenario.id: run.scenario for run in runs}
    datasets: dict[str, ArrayDataset] = {}
    for scenario in scenarios.values():
        if scenario.dataset not in datasets:
            with about(f"scenario {shown(scenario.id)}"):
                datasets[scenario.dataset] = load_dataset(scenario.dataset, data_dir)
    partitions: dict[tuple[str, int], Partition] = {}
    for scenario in scenarios.values():
        dataset = datasets[scenario.dataset]
        with about(f"scenario {shown(scenario.id)}"):
            for name in scenario.models:
                model = make_model(name, dataset.input, dataset.classes, scenario.precision)
                choose_backend(options.backend, model, torch.device(options.device))
            check_fit(scenario, dataset)
            for seed in dict.fromkeys(run.seed for run in runs if run.scenario == scenario):
                partitions[scenario.id, seed] = scenario_partition(scenario, dataset, seed)
                check_clients(scenario, dataset, partitions[scenario.id, seed])
    bases = {
        run.id: Basis(
            datasets[run.scenario.dataset].sha256,
            partitions[run.scenario.id, run.seed].sha256(),
            origins[run.id],
            datasets[run.scenario.dataset].facts,
        )
        for run in runs
    }
    return Plan(suite, runs, datasets, partitions, options, plugins, bases)


def execute(
    plan: Plan, ledger: Ledger, executor: Executor, listen: Listener, standing: Standing | None = None
) -> Outcome:
    """Run what the ledger does not have; the caller holds the ledger's lock. Failures are recorded, not raised.

    Stopped if a signal asked for it before all were done: checkpoints are written by then (``engine.stop``).
    ``standing``: what of the ledger stands (``reuse.review``); by default, all that was computed on the same.
    """
    standing = review(plan.runs, plan.bases, ledger) if standing is None else standing
    _keep_partitions(plan, ledger)
    outcome = Outcome(reused=list(standing.reused), renewed=dict(standing.renewed))
    for run_id, record in standing.reused.items():
        ledger.forget_begun(run_id)
        if record.status == "diverged":
            outcome.failed[run_id] = record.reason
    wanted = [run for run in plan.runs if run.id not in standing.reused]
    keeper = Keeper(plan.suite, plan.bases, plan.options, ledger, standing)
    jobs = [
        make_job(
            run, plan.partition(run), plan.options_of(run), plan.plugins, plan.bases[run.id].sources
        ).going_on_from(ledger.checkpoint(run.id) if run.id in standing.resumable else None)
        for run in wanted
    ]
    ended = 0
    with closing(_updates(executor, jobs, plan.datasets)) as updates:
        for position, event in updates:
            run = wanted[position]
            listen(run, event)
            trouble = keeper.keep(run, event)
            if isinstance(event, RunResult | Failure):
                ended += 1
                if trouble:
                    outcome.failed[run.id] = trouble
                else:
                    outcome.finished.append(run.id)
    _keep_partitions(plan, ledger)  # again: somebody may have removed the folder meanwhile
    if ended < len(jobs):
        stop.raise_if_asked()
    return outcome


def missing(plan: Plan, ledger: Ledger) -> list[str]:
    """Runs that were asked for and are not, or no longer, in the ledger with their result."""
    return [run.id for run in plan.runs if not ledger.is_final(run.id)]


def _keep_partitions(plan: Plan, ledger: Ledger) -> None:
    for (scenario, _), partition in plan.partitions.items():
        dataset = plan.datasets[next(run.scenario.dataset for run in plan.runs if run.scenario.id == scenario)]
        ledger.save_partition(partition.sha256(), partition.holdings(dataset))


def _updates(
    executor: Executor, jobs: Sequence[Job], datasets: Mapping[str, ArrayDataset]
) -> Generator[Update, None, None]:
    if jobs:
        yield from executor.execute(jobs, datasets)
