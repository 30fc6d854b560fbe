"""From a request to a ledger full of results: check everything first, then run what is not there yet."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from pfl_bench.client.backends import choose_backend
from pfl_bench.client.model import make_model
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import Partition, make_partition
from pfl_bench.data.store import load_dataset
from pfl_bench.engine.events import Checkpoint, Event, Failure, Progress, RunResult
from pfl_bench.errors import RequestError, one_line
from pfl_bench.registry import METHODS, Plugin
from pfl_bench.results.ledger import Ledger
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec
from pfl_bench.spec.scenario import Scenario

from .executors import Executor, Update
from .job import Job, make_job, method_source_hash
from .provenance import git_commit


@dataclass(frozen=True)
class Plan:
    """A checked request: runs, the data they need, one partition per scenario and seed, and how to compute."""

    suite: str
    runs: Sequence[RunSpec]
    datasets: Mapping[str, ArrayDataset]
    partitions: Mapping[tuple[str, int], Partition]
    options: Options
    plugins: tuple[Plugin, ...] = ()

    def partition(self, run: RunSpec) -> Partition:
        """The run's partition."""
        return self.partitions[run.scenario.id, run.seed]


@dataclass
class Outcome:
    """What became of the runs of a request, by run id."""

    reused: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    edited: set[str] = field(default_factory=set)


Listener = Callable[[RunSpec, Event], None]


def resolve_device(name: str) -> str:
    """``auto`` is the GPU where there is one. RequestError for a device that is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RequestError(f"--device: {name!r} must be auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise RequestError(f"--device: {name!r} must be auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        raise RequestError(f"--device: {name!r} is not there; this machine has {count} CUDA devices")
    return name


def scenario_partition(scenario: Scenario, dataset: ArrayDataset, seed: int) -> Partition:
    """The scenario's partition at a seed: computed by its rule, or imported. RequestError if it cannot be had."""
    spec = scenario.partition
    if spec.file is not None:
        partition = Partition.load(Path(spec.file))
        if spec.sha256 is not None and partition.sha256() != spec.sha256:
            raise RequestError(f"{scenario.id}: partition {spec.file} is not the one with hash {spec.sha256[:12]}")
        if (partition.clients, partition.novel) != (scenario.clients, scenario.novel):
            raise RequestError(
                f"{scenario.id}: partition {spec.file} has {partition.clients} clients ({partition.novel} novel), "
                f"the scenario {scenario.clients} ({scenario.novel})"
            )
        partition.check(dataset)
        return partition
    if spec.rule is None:
        raise RequestError(f"{scenario.id}: partition needs a 'rule' or a 'file'")
    return make_partition(spec.rule, spec.parameters, dataset, scenario.clients, seed, scenario.novel)


def make_plan(
    suite: str,
    runs: Sequence[RunSpec],
    data_dir: Path,
    options: Options,
    plugins: tuple[Plugin, ...] = (),
) -> Plan:
    """Load the data, cut the partitions, and try the models and the back-end, so that wrong requests end here."""
    scenarios = {run.scenario.id: run.scenario for run in runs}
    datasets = {name: load_dataset(name, data_dir) for name in dict.fromkeys(s.dataset for s in scenarios.values())}
    partitions: dict[tuple[str, int], Partition] = {}
    for scenario in scenarios.values():
        dataset = datasets[scenario.dataset]
        for name in scenario.models:
            model = make_model(name, dataset.input_shape, dataset.classes, scenario.precision)
            choose_backend(options.backend, model, torch.device(options.device))
        for seed in dict.fromkeys(run.seed for run in runs if run.scenario == scenario):
            partitions[scenario.id, seed] = scenario_partition(scenario, dataset, seed)
    return Plan(suite, runs, datasets, partitions, options, plugins)


def execute(plan: Plan, ledger: Ledger, executor: Executor, listen: Listener, fresh: bool = False) -> Outcome:
    """Run what the ledger does not have; the caller holds the ledger's lock. Failures are recorded, not raised."""
    for scenario, seed in plan.partitions:
        partition = plan.partitions[scenario, seed]
        dataset = plan.datasets[next(run.scenario.dataset for run in plan.runs if run.scenario.id == scenario)]
        ledger.save_partition(partition.sha256(), partition.holdings(dataset))
    outcome = Outcome()
    wanted: list[RunSpec] = []
    for run in plan.runs:
        if fresh:
            ledger.forget(run.id)
        recorded = ledger.record(run.id)
        if recorded is None or not recorded.final:
            wanted.append(run)
            continue
        outcome.reused.append(run.id)
        if recorded.method_source_sha256 != method_source_hash(run.method):
            outcome.edited.add(run.method)
        if recorded.status == "diverged":
            outcome.failed[run.id] = recorded.reason
    jobs = [
        make_job(run, plan.partition(run), plan.options, plan.plugins).going_on_from(ledger.checkpoint(run.id))
        for run in wanted
    ]
    with closing(_updates(executor, jobs, plan.datasets)) as updates:
        for position, event in updates:
            run = wanted[position]
            listen(run, event)
            _keep(plan, ledger, run, event, outcome)
    return outcome


def _updates(
    executor: Executor, jobs: Sequence[Job], datasets: Mapping[str, ArrayDataset]
) -> Generator[Update, None, None]:
    if jobs:
        yield from executor.execute(jobs, datasets)


def _keep(plan: Plan, ledger: Ledger, run: RunSpec, event: Event, outcome: Outcome) -> None:
    """Write what must survive. A full disk fails this run, and the others go on."""
    if isinstance(event, Progress):
        return
    record = _record(plan, run)
    try:
        if isinstance(event, Checkpoint):
            moment = METHODS.get(run.method).moment
            unfinished = {**record, "status": "unfinished", "official_moment": moment}
            ledger.save(run.id, unfinished, history=event.history, checkpoint=event.data)
        elif isinstance(event, Failure):
            outcome.failed[run.id] = event.reason
            ledger.save(run.id, {**record, "status": "failed", "reason": event.reason}, error=event.details)
        else:
            _keep_result(ledger, run, event, record)
            outcome.failed.pop(run.id, None)
            if event.status == "diverged":
                outcome.failed[run.id] = event.reason
            else:
                outcome.finished.append(run.id)
    except OSError as error:
        if isinstance(event, Checkpoint):  # a lost checkpoint costs time, not the result
            return
        outcome.failed[run.id] = f"could not be written: {one_line(error)}"
        with suppress(OSError):  # the reason is short; it may still fit
            ledger.save(run.id, {**record, "status": "failed", "reason": outcome.failed[run.id]})


def _keep_result(ledger: Ledger, run: RunSpec, result: RunResult, record: dict[str, Any]) -> None:
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
    )


def _record(plan: Plan, run: RunSpec) -> dict[str, Any]:
    return {
        "suite": plan.suite,
        "method": run.method,
        "config": run.config.model_dump(mode="json"),
        "config_hash": run.config_hash,
        "scenario": run.scenario.identity(),
        "seed": run.seed,
        "partition_sha256": plan.partition(run).sha256(),
        "data_sha256": plan.datasets[run.scenario.dataset].sha256,
        "method_source_sha256": method_source_hash(run.method),
        "git_commit": git_commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
