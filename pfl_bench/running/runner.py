"""From a request to a ledger full of results: check everything first, then run what is not there yet."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
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
from pfl_bench.results.shared import PATIENCE
from pfl_bench.spec.options import Options, check_device
from pfl_bench.spec.run import RunSpec

from .executors import Executor, Take, Update
from .fit import check_clients, check_fit
from .guard import harmless
from .job import Job, make_job
from .keeping import Keeper
from .lockstep.companies import in_lockstep
from .reuse import Basis, Standing, review
from .sources import Sources
from .turns import Turns


@dataclass(frozen=True)
class Plan:
    """A checked request: runs, the data they need, one partition per scenario and seed, and how to compute.

    ``bases``: by run id, what each run is computed on; ``origins``: where its hyper-parameters come from
    (``spec.tuned``), where that is known.
    """

    suite: str
    runs: Sequence[RunSpec]
    datasets: Mapping[str, ArrayDataset]
    partitions: Mapping[tuple[str, int], Partition]
    options: Options
    plugins: tuple[Plugin, ...] = ()
    bases: Mapping[str, Basis] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)

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
    """What became of the runs of a request, by run id. ``renewed``: why a recorded run was not reused. ``elsewhere``:
    what other drivers finished meanwhile; ``held``: what they are still computing."""

    reused: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    renewed: dict[str, str] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)


Listener = Callable[[RunSpec, Event], None]


def resolve_device(name: str) -> str:
    """``auto`` is the CUDA GPU where there is one. RequestError for a device that is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    check_device(name)
    device = torch.device(name)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise RequestError(
            "device 'mps' is not there: this machine has no GPU of Apple's, or torch does not support it"
        )
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
    origins: Mapping[str, str] | None = None,
) -> Plan:
    """Load the data, cut the partitions, and try the models and the back-end, so that wrong requests end here."""
    sources = Sources(plugins)
    texts = {run.id: sources.of(run) for run in runs}  # first: what is edited while data load has been read as it runs
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
            texts[run.id],
            datasets[run.scenario.dataset].facts,
        )
        for run in runs
    }
    return Plan(suite, runs, datasets, partitions, options, plugins, bases, origins or {})


def execute(
    plan: Plan,
    ledger: Ledger,
    executor: Executor,
    listen: Listener,
    standing: Standing | None = None,
    wait: bool = True,
) -> Outcome:
    """Run what the ledger does not have, and nobody else is computing. Failures are recorded, not raised.

    Stopped if a signal asked for it before all were done: checkpoints are written by then (``engine.stop``).
    ``standing``: what of the ledger stands (``reuse.review``); by default, all that was computed on the same.
    ``wait`` for runs that other drivers have, and take over what they leave; else these are in ``Outcome.held``.
    """
    standing = review(plan.runs, plan.bases, ledger) if standing is None else standing
    _keep_partitions(plan, ledger)
    outcome = Outcome(reused=list(standing.reused), renewed=dict(standing.renewed))
    for run_id, record in standing.reused.items():
        if ledger.take(run_id):  # else another driver computes it anew, and goes on from what lies there
            ledger.forget_begun(run_id)
            ledger.give_back(run_id)
        if record.status == "diverged":
            outcome.failed[run_id] = record.reason
    wanted = [run for run in plan.runs if run.id not in standing.reused]
    keeper = Keeper(plan.suite, plan.bases, plan.options, ledger, standing, plan.origins)
    turns = Turns(wanted, plan.bases, ledger, keeper, standing.fresh)
    try:
        _compute(wanted, plan, ledger, executor, listen, keeper, turns, outcome)
        while turns.held and wait:
            _compute(turns.await_others(), plan, ledger, executor, listen, keeper, turns, outcome)
    finally:
        ledger.give_all_back()
    outcome.held = list(turns.held)
    for run_id, record in turns.elsewhere.items():
        outcome.elsewhere.append(run_id)
        if record.status == "diverged":
            outcome.failed[run_id] = record.reason
    _keep_partitions(plan, ledger)  # again: somebody may have removed the folder meanwhile
    return outcome


def _compute(
    runs: Sequence[RunSpec], plan: Plan, ledger: Ledger, executor: Executor, listen: Listener, keeper: Keeper,
    turns: Turns, outcome: Outcome,
) -> None:  # fmt: skip
    """Run those of these whose turn it is. Stopped if a signal asked for it before all were done."""
    jobs = [
        make_job(run, plan.partition(run), plan.options_of(run), plan.plugins, plan.bases[run.id].sources)
        for run in runs
    ]
    left = ended = 0

    def take(position: int, job: Job) -> Job | None:
        nonlocal left
        own = turns.begin(runs[position], job)
        left += own is None
        return own

    with closing(_updates(executor, jobs, plan.datasets, take)) as updates:
        for position, event in updates:
            run = runs[position]
            listen(run, event)
            trouble = keeper.keep(run, event)
            if isinstance(event, RunResult | Failure):
                ended += 1
                ledger.give_back(run.id)
                if trouble:
                    outcome.failed[run.id] = trouble
                else:
                    outcome.finished.append(run.id)
    if left + ended < len(jobs):
        stop.raise_if_asked()


def missing(plan: Plan, ledger: Ledger) -> list[str]:
    """Runs that were asked for and are not, or no longer, in the ledger with their result."""
    return [run.id for run in plan.runs if not ledger.is_final(run.id)]


def _keep_partitions(plan: Plan, ledger: Ledger) -> None:
    data_of = {run.scenario.id: plan.datasets[run.scenario.dataset] for run in plan.runs}
    with suppress(RequestError), ledger.lock(PATIENCE):  # who cannot write it now may later
        for (scenario, _), partition in plan.partitions.items():
            ledger.save_partition(partition.sha256(), partition.holdings(data_of[scenario]))


def _updates(
    executor: Executor, jobs: Sequence[Job], datasets: Mapping[str, ArrayDataset], take: Take
) -> Generator[Update, None, None]:
    if jobs:
        yield from executor.execute(jobs, datasets, take)
