"""Runs of several results folders in one: those of two machines, or of several people. What clashes is named.

Two runs of one id clash where they were computed on other data, splits or code, or have other numbers; the one that is
there stays.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pfl_bench.errors import RequestError

from .files import write_bytes
from .frame import run_names
from .ledger import Ledger
from .leftovers import STAGED, beside
from .lineage import differences, sources_of_record
from .notes import Problem
from .places import is_suite_folder, suite_folders
from .record import Record, Unreadable, find_record, read_record
from .shared import PATIENCE


@dataclass
class Merged:
    """What became of the runs: ids that were copied, ids that were there already, and what was left out, with why."""

    copied: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    clashes: list[Problem] = field(default_factory=list)
    unreadable: list[Problem] = field(default_factory=list)


def pairs(sources: Sequence[Path], into: Path) -> list[tuple[Path, Path]]:
    """Which suite's folder goes into which. Folders of one suite go into ``into`` itself, folders of several into
    folders of their names. RequestError where these are mixed, or a folder would go into itself."""
    single = {is_suite_folder(source) for source in sources}
    if single == {True}:
        found = [(source, into) for source in sources]
    elif single == {False}:
        found = [(own, into / name) for source in sources for name, own in suite_folders(source).items()]
    else:
        raise RequestError(
            "merge: give the folders of one suite (with a folder 'runs'), or folders of several, not both"
        )
    for source, target in found:
        if source.resolve() == target.resolve():
            raise RequestError(f"merge: {source} would go into itself; name only the others, --into {into}")
    return found


def merge(source: Path, into: Path) -> Merged:
    """Copy the runs of a suite's folder into another, with their partitions. Nothing that is there is overwritten but
    an unfinished run, by a finished one."""
    ledger, merged = Ledger(into), Merged()
    with ledger.lock(PATIENCE):
        pass  # a folder that cannot be written is refused before anything is copied
    for name in run_names(source / "runs"):
        try:
            record = read_record(source / "runs" / name)
        except Unreadable as error:
            merged.unreadable.append(Problem(str(source / "runs" / name), str(error)))
            continue
        if not ledger.take(name):
            merged.clashes.append(Problem(name, "another driver is computing it"))
            continue
        try:
            _merge_run(source, ledger, record, merged)
        finally:
            ledger.give_back(name)
    for table in sorted((source / "partitions").glob("*.csv")):
        target = into / "partitions" / table.name
        if not target.exists() and table.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(target, table.read_bytes())
    return merged


def _merge_run(source: Path, ledger: Ledger, record: Record, merged: Merged) -> None:
    own, place = source / "runs" / record.id, ledger.runs / record.id
    there = find_record(place)
    if there is not None and (there.final or not record.final):
        why = clash(there, record, place, own)
        if why and record.final:
            merged.clashes.append(Problem(record.id, why))
        else:
            merged.known.append(record.id)
        return
    staged = beside(place, STAGED)
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(own, staged, ignore=shutil.ignore_patterns(".*"))
    if there is not None:
        shutil.rmtree(place)
    staged.rename(place)
    merged.copied.append(record.id)


def clash(one: Record, other: Record, place: Path, elsewhere: Path) -> str:
    """In what two runs of one id are not the same; "" if in nothing."""
    parts = [
        *(["the data"] if one.data_sha256 != other.data_sha256 else []),
        *(["the split"] if one.partition_sha256 != other.partition_sha256 else []),
        *differences(one, sources_of_record(other)),
    ]
    if parts:
        return f"computed on other things: {', '.join(parts)}"
    if (one.status, one.summary) == (other.status, other.summary):
        return ""
    here, there = (f"{_result(run)} in {at.parent.parent}" for run, at in ((one, place), (other, elsewhere)))
    return f"other numbers: {here}, {there}"


def _result(record: Record) -> str:
    accuracy = record.official.best.get("accuracy")
    return f"accuracy {accuracy:.6g}" if isinstance(accuracy, int | float) else record.status
