"""Which runs are in the ledger already, and were computed on what they would be computed on now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pfl_bench.engine.run_state import doubt
from pfl_bench.engine.selection import is_selectable
from pfl_bench.registry import METHODS
from pfl_bench.results.facts import facts_text
from pfl_bench.results.ledger import Ledger
from pfl_bench.results.lineage import differences
from pfl_bench.results.record import Record
from pfl_bench.spec.run import RunSpec


@dataclass(frozen=True)
class Basis:
    """What a run is computed on: hashes of its data, of its split, and of the sources that decide its numbers."""

    data: str
    partition: str
    sources: Mapping[str, str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What of the data no array holds: classes, standardisation, share of validation."""


@dataclass
class Standing:
    """What the ledger has of the runs asked for, by run id.

    ``reused``: records that stand. ``renewed``: why a run that is there, finished or not, is computed anew all the
    same, and kept aside once that is done. ``fresh``: whether everything starts over, checkpoints or not.
    ``resumable``: records of unfinished runs whose checkpoint may be gone on from. ``restarted``: why that of others
    may not; they are computed from the start.
    """

    reused: dict[str, Record] = field(default_factory=dict)
    renewed: dict[str, str] = field(default_factory=dict)
    fresh: bool = False
    resumable: dict[str, Record] = field(default_factory=dict)
    restarted: dict[str, str] = field(default_factory=dict)


def review(runs: Sequence[RunSpec], bases: Mapping[str, Basis], ledger: Ledger, fresh: bool = False) -> Standing:
    """Look the runs up; ``bases`` by run id. With ``fresh`` no finished run stands, whatever it was computed on."""
    standing = Standing(fresh=fresh)
    for run in runs:
        record = ledger.record(run.id)
        why = _differs(record, run, bases[run.id])
        if record is None and (unbelievable := ledger.unbelievable(run.id)):
            why = f"its record ({unbelievable})"
        if record is not None and record.final and not why and not fresh:
            standing.reused[run.id] = record
            continue
        if why:
            standing.renewed[run.id] = why
        if fresh:
            continue
        begun = record if record is not None and not record.final else ledger.begun(run.id)
        if begun is None or begun.status != "unfinished":
            if record is None and ledger.checkpoint(run.id) is not None:
                standing.restarted[run.id] = "the record beside its checkpoint cannot be read"
        elif not _differs(begun, run, bases[run.id]):
            if reason := doubt(ledger.checkpoint(run.id), run.id):
                standing.restarted[run.id] = reason
            else:
                standing.resumable[run.id] = begun
    return standing


def _differs(record: Record | None, run: RunSpec, basis: Basis) -> str:
    """In what a record is not of this run as it would be computed now; "" if in nothing, or if the run failed."""
    if record is None or record.status == "failed":
        return ""
    return request_of(record, run) or mismatch(record, basis) or selection_of(record, run)


def request_of(record: Record, run: RunSpec) -> str:
    """In what a record is not of the run that its folder is named after; "" if in nothing."""
    parts = [
        ("the method", record.method == run.method),
        ("the configuration", record.config_hash == run.config_hash),
        ("the scenario", record.scenario == run.scenario.identity()),
        ("the seed", record.seed == run.seed),
    ]
    return ", ".join(what for what, same in parts if not same)


def selection_of(record: Record, run: RunSpec) -> str:
    """Why what was selected of a finished run could not be selected now: it was of the method's warm start; "" else."""
    visits, budget = record.official.best.get("visits"), run.scenario.visits
    method = METHODS.get(run.method)(run.config)
    away = run.scenario.availability.present < 1  # then how large its last round was is not known
    asked = min(run.config.cohort, run.scenario.clients - run.scenario.novel)
    began = visits - (1 if away else asked) if visits is not None else 0
    if visits is None or is_selectable(method.selected_from, began, visits, budget):
        return ""
    return "which evaluations are selected from"


def mismatch(record: Record, basis: Basis) -> str:
    """What a recorded run was computed on that is another now, such as "the data, the split"; "" if nothing."""
    parts = []
    if record.data_sha256 != basis.data:
        parts.append("the data")
    elif record.data_facts and facts_text(record.data_facts) != facts_text(basis.facts):
        parts.append("what the data source says of the data")
    if record.partition_sha256 != basis.partition:
        parts.append("the split")
    return ", ".join([*parts, *differences(record, basis.sources)])
