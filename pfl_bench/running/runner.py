"""From a request to a ledger full of results: check everything first, then run what is not there yet."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from pfl_bench.client.backends import choose_backend
from pfl_bench.client.build import make_model
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import Partition, make_partition
from pfl_bench.data.store import load_dataset
from pfl_bench.engine.events import Checkpoint, Event, Failure, Progress, RunResult
from pfl_bench.errors import RequestError, one_line
from pfl_bench.files import expanded
from pfl_bench.registry import METHODS, Plugin
from pfl_bench.results.ledger import Ledger
from pfl_bench.spec.options import Options, check_device
from pfl_bench.spec.run import RunSpec
from pfl_bench.spec.scenario import Scenario

from .executors import Executor, Update
from .fit import check_fit
from .job import Job, make_job
from .provenance import git_commit
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


def scenario_partition(scenario: Scenario, dataset: ArrayDataset, seed: int) -> Partition:
    """The scenario's partition at a seed: computed by its rule, or imported. RequestError if it cannot be had."""
    spec = scenario.partition
    if spec.file is not None:
        partition = Partition.load(expanded(spec.file))
        if spec.sha256 is not None and partition.sha256() != spec.sha256:
            raise RequestError(f"{scenario.id}: partition {spec.file} is not the one with hash {spec.sha256[:12]}")
        if (partition.clients, partition.novel) != (scenario.clients, scenario.novel):
            raise RequestError(
                f"{scenario.id}: partition {spec.file} has {partition.clients} clients ({partition.novel} novel), "
                f"the scenario {scenario.clients} ({scenario.novel})"
            )
        partition.check(dataset)
        return partition
    return make_partition(str(spec.rule), spec.parameters, dataset, scenario.clients, seed, scenario.novel)


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
    datasets = {name: load_dataset(name, data_dir) for name in dict.fromkeys(s.dataset for s in scenarios.values())}
    partitions: dict[tuple[str, int], Partition] = {}
    for scenario in scenarios.values():
        dataset = datasets[scenario.dataset]
        for name in scenario.models:
            model = make_model(name, dataset.input_shape, dataset.classes, scenario.precision)
            choose_backend(options.backend, model, torch.device(options.device))
        check_fit(scenario, dataset)
        for seed in dict.fromkeys(run.seed for run in runs if run.scenario == scenario):
            partitions[scenario.id, seed] = scenario_partition(scenario, dataset, seed)
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

    ``standing``: what of the ledger stands (``reuse.review``); by default, all that was computed on the same.
    """
    standing = review(plan.runs, plan.bases, ledger) if standing is None else standing
    for scenario, seed in plan.partitions:
        partition = plan.partitions[scenario, seed]
        dataset = plan.datasets[next(run.scenario.dataset for run in plan.runs if run.scenario.id == scenario)]
        ledger.save_partition(partition.sha256(), partition.holdings(dataset))
    outcome = Outcome(reused=list(standing.reused), renewed=dict(standing.renewed))
    for run_id, record in standing.reused.items():
        if record.status == "diverged":
            outcome.failed[run_id] = record.reason
    wanted = [run for run in plan.runs if run.id not in standing.reused]
    aside = dict(standing.renewed)
    jobs = [
        make_job(run, plan.partition(run), plan.options, plan.plugins).going_on_from(
            ledger.checkpoint(run.id) if run.id in standing.resumable else None
        )
        for run in wanted
    ]
    with closing(_updates(executor, jobs, plan.datasets)) as updates:
        for position, event in updates:
            run = wanted[position]
            listen(run, event)
            _keep(plan, ledger, run, event, outcome, aside)
    return outcome


def _updates(
    executor: Executor, jobs: Sequence[Job], datasets: Mapping[str, ArrayDataset]
) -> Generator[Update, None, None]:
    if jobs:
        yield from executor.execute(jobs, datasets)


def _keep(plan: Plan, ledger: Ledger, run: RunSpec, event: Event, outcome: Outcome, aside: dict[str, str]) -> None:
    """Write what must survive. A full disk fails this run, and the others go on.

    ``aside``: why a run of the same id that is there already is kept aside, until that is done.
    """
    if isinstance(event, Progress):
        return
    record = _record(plan, run)
    try:
        if isinstance(event, Checkpoint):
            moment = METHODS.get(run.method).moment
            unfinished = {**record, "status": "unfinished", "official_moment": moment}
            ledger.save(run.id, unfinished, history=event.history, checkpoint=event.data, aside=aside.get(run.id, ""))
        elif isinstance(event, Failure):
            outcome.failed[run.id] = event.reason
            failed = {**record, "status": "failed", "reason": event.reason}
            ledger.save(run.id, failed, error=event.details, aside=aside.get(run.id, ""))
        else:
            _keep_result(ledger, run, event, record, aside.get(run.id, ""))
            outcome.failed.pop(run.id, None)
            if event.status == "diverged":
                outcome.failed[run.id] = event.reason
            else:
                outcome.finished.append(run.id)
        aside.pop(run.id, None)
    except OSError as error:
        if isinstance(event, Checkpoint):  # a lost checkpoint costs time, not the result
            return
        outcome.failed[run.id] = f"could not be written: {one_line(error)}"
        with suppress(OSError):  # the reason is short; it may still fit
            failed = {**record, "status": "failed", "reason": outcome.failed[run.id]}
            ledger.save(run.id, failed, aside=aside.get(run.id, ""))


def _keep_result(ledger: Ledger, run: RunSpec, result: RunResult, record: dict[str, Any], aside: str) -> None:
    ledger.save(
        run.id,
        {
            **record,
            "status": result.status,
            "reason": result.reason,
            "summary": result.summary,
            **result.facts,
        },
        history=result.history,
        tables={"clients": result.clients, **result.tables},
        aside=aside,
    )


def _record(plan: Plan, run: RunSpec) -> dict[str, Any]:
    basis = plan.bases[run.id]
    return {
        "suite": plan.suite,
        "method": run.method,
        "config": run.config.model_dump(mode="json"),
        "config_hash": run.config_hash,
        "scenario": run.scenario.identity(),
        "seed": run.seed,
        "partition_sha256": basis.partition,
        "data_sha256": basis.data,
        "data_facts": dict(basis.facts),
        "method_source_sha256": next(sha for key, sha in basis.sources.items() if key.startswith("method:")),
        "sources": basis.sources,
        "git_commit": git_commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
