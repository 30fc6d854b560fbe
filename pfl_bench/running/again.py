"""A recorded run, computed again: are its numbers what its code gives on its data?"""

import csv
import io
import math
import tempfile
from collections.abc import Iterator
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
from pfl_bench.text import counted

from .executors.serial import SerialExecutor
from .provenance import versions
from .reuse import mismatch
from .runner import execute, make_plan, resolve_device

ROUNDING = 1e-4
"""Difference of a loss or a percentage, relative or absolute, that another processor may make: errors of
calibration jump where a sample changes its bin. Counts are exact, so that no prediction may be another."""


@dataclass(frozen=True)
class Again:
    """``same``: whether every figure is equal, to the last digit or but for ``rounding`` (the first such difference);
    if not, ``why`` it is not, or could not be computed."""

    same: bool
    why: str
    rounding: str = ""


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
    """Whether all that a run has recorded came out again; what later versions record besides is no difference."""
    found = ledger.record(record.id)
    if found is None:
        return Again(False, "its result could not be read")
    differing = [*_scores(record, found), *_clients(recorded / "clients.csv", ledger.runs / record.id / "clients.csv")]
    other = next((each.said for each in differing if not each.rounding), "")
    if found.status != record.status:
        other = f"it is {found.status}, recorded is {record.status}"
    if not other:
        return Again(True, "", differing[0].said if differing else "")
    libraries = [f"torch {one}" for one in (record.versions.get("torch"), versions().get("torch"))]
    hint = "" if libraries[0] == libraries[1] else f" ({libraries[1]}; it was {libraries[0]})"
    return Again(False, other + hint)


@dataclass(frozen=True)
class _Difference:
    said: str
    rounding: bool


def _scores(record: Record, found: Record) -> Iterator[_Difference]:
    """The scores that differ."""
    for moment, picked in record.summary.items():
        for selection in ("best", "last"):
            then, now = getattr(picked, selection), getattr(found.at(moment), selection)
            for key, value in then.items():
                if value != now.get(key):
                    said = f"{_figure(now.get(key))}, recorded is {_figure(value)}"
                    yield _Difference(f"{moment}.{selection}.{key} is {said}", _is_close(value, now.get(key)))


def _clients(recorded: Path, again: Path) -> Iterator[_Difference]:
    """The cells of clients that differ."""
    tables = []
    for path in (recorded, again):
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        tables.append(list(csv.DictReader(io.StringIO(text))))
    then, now = tables
    if len(then) != len(now):
        yield _Difference(f"clients.csv has {counted(len(now), 'row')}, recorded are {len(then)}", False)
        return
    for old, new in zip(then, now, strict=True):
        for column, value in old.items():
            if value != new.get(column):
                said = f"{column} of client {old.get('client')} is {new.get(column)}, recorded is {value}"
                yield _Difference(said, _is_close(value, new.get(column)))


def _is_close(then: object, now: object) -> bool:
    """Whether two figures, or cells, differ as rounding may have it; counts may not."""
    if str(then).isdecimal():
        return False
    try:
        return math.isclose(float(str(then)), float(str(now)), rel_tol=ROUNDING, abs_tol=ROUNDING)
    except ValueError:
        return False


def _figure(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, int | float) else "none"
