"""A recorded run, computed again: are its numbers what its code gives on its data?"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pfl_bench.client.backends import BACKENDS
from pfl_bench.errors import RequestError
from pfl_bench.registry import Plugin
from pfl_bench.results.ledger import Ledger
from pfl_bench.results.record import Record
from pfl_bench.spec.identity import ADAPT_STEPS_BEFORE, as_written
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec, make_config
from pfl_bench.spec.scenario import read_scenario

from .executors.serial import SerialExecutor
from .provenance import versions
from .reuse import mismatch
from .runner import execute, make_plan, resolve_device


@dataclass(frozen=True)
class Again:
    """``same``: whether every figure is equal to the last digit; else ``why`` it is not, or could not be computed."""

    same: bool
    why: str


def request_of(record: Record) -> RunSpec:
    """What a recorded run was asked for. RequestError where that cannot be told from its record."""
    table: dict[str, Any] = dict(record.scenario)
    if "adapt_steps" not in table and table.get("local_steps") != ADAPT_STEPS_BEFORE:
        table["adapt_steps"] = ADAPT_STEPS_BEFORE  # what an identity without the field means
    table["partition"] = {name: value for name, value in table["partition"].items() if value is not None}
    scenario = read_scenario(table, record.id)
    config = make_config(record.method, as_written(record.method, record.config), record.id)
    run = RunSpec(record.method, config, scenario, record.seed)
    if run.id != record.id:
        raise RequestError(f"{record.id}: what its record asks for is the run {run.id} now")
    return run


def compute_again(record: Record, folder: Path, data_dir: Path, plugins: tuple[Plugin, ...]) -> Again:
    """Compute a run of a results folder as it was computed, elsewhere, and compare all that it scored.

    On the recorded back-end, and on the recorded kind of device if that is there.
    """
    try:
        run = request_of(record)
        device = resolve_device((record.device or "cpu").partition(":")[0])
        backend = record.backend if record.backend in BACKENDS else "auto"  # others are what "auto" took
        plan = make_plan("again", [run], data_dir, Options(device=device, backend=backend or "auto"), plugins)
    except RequestError as error:
        return Again(False, str(error))
    if other := mismatch(record, plan.bases[run.id]):
        return Again(False, f"{other} changed since, or is another here")
    with tempfile.TemporaryDirectory(prefix="pfl-bench-again-") as place:
        ledger = Ledger(Path(place) / "again")
        outcome = execute(plan, ledger, SerialExecutor(), lambda run, event: None)
        if run.id in outcome.failed and record.status != "diverged":
            return Again(False, f"it fails here: {outcome.failed[run.id]}")
        return _compared(record, folder / "runs" / run.id, ledger)


def _compared(record: Record, recorded: Path, ledger: Ledger) -> Again:
    found = ledger.record(record.id)
    if found is None:
        return Again(False, "its result could not be read")
    clients = [(path / "clients.csv") for path in (recorded, ledger.runs / record.id)]
    texts = [path.read_text(encoding="utf-8") if path.is_file() else "" for path in clients]
    if (found.status, found.summary) == (record.status, record.summary) and texts[0] == texts[1]:
        return Again(True, "")
    now, then = (one.official.best.get("accuracy") for one in (found, record))
    libraries = [f"torch {one}" for one in (record.versions.get("torch"), versions().get("torch"))]
    hint = "" if libraries[0] == libraries[1] else f" ({libraries[1]}; it was {libraries[0]})"
    return Again(False, f"accuracy {_figure(now)}, recorded is {_figure(then)}{hint}")


def _figure(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, int | float) else "none"
