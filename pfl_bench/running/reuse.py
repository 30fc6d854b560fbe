"""Which runs are in the ledger already, and were computed on what they would be computed on now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pfl_bench.engine.selection import selectable
from pfl_bench.registry import METHODS
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
    ``resumable``: whose checkpoint may be gone on from.
    """

    reused: dict[str, Record] = field(default_factory=dict)
    renewed: dict[str, str] = field(default_factory=dict)
    fresh: bool = False
    resumable: set[str] = field(default_factory=set)


def review(runs: Sequence[RunSpec], bases: Mapping[str, Basis], ledger: Ledger, fresh: bool = False) -> Standing:
    """Look the runs up; ``bases`` by run id. With ``fresh`` no finished run stands, whatever it was computed on."""
    standing = Standing(fresh=fresh)
    for run in runs:
        record = ledger.record(run.id)
        if record is None and (why := ledger.unbelievable(run.id)):
            standing.renewed[run.id] = f"its record ({why})"
        if record is None or record.status == "failed":
            continue
        why = request_of(record, run) or mismatch(record, bases[run.id]) or selection_of(record, run)
        if why:
            standing.renewed[run.id] = why
        elif record.status == "unfinished" and not fresh:
            standing.resumable.add(run.id)
        elif record.final and not fresh:
            standing.reused[run.id] = record
    return standing


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
    if visits is None or selectable(method.selected_from, visits - run.config.cohort, visits, budget):
        return ""
    return "which evaluations are selected from"


def mismatch(record: Record, basis: Basis) -> str:
    """What a recorded run was computed on that is another now, such as "the data, the split"; "" if nothing."""
    parts = []
    if record.data_sha256 != basis.data:
        parts.append("the data")
    elif record.data_facts and record.data_facts != dict(basis.facts):
        parts.append("what the data source says of the data")
    if record.partition_sha256 != basis.partition:
        parts.append("the split")
    return ", ".join([*parts, *differences(record, basis.sources)])
