"""Runs of several results folders in one: those of two machines, or of several people. What clashes is named.

Two runs of one id clash where they were computed on other data, splits or code, or have other numbers; the one that is
there stays. Only regular files are copied: a link or a pipe in a run's folder is named.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pfl_bench.errors import RequestError, one_line

from .files import MOST_TABLE_BYTES, read_text, write_text
from .frame import run_names
from .ledger import Ledger
from .leftovers import STAGED, beside
from .lineage import differences, sources_of_record
from .notes import Problem
from .pack import join
from .places import PACKED, is_suite_folder, suite_folders
from .record import Record, Unreadable, find_record, read_record
from .shared import PATIENCE

COUNTED = ("bytes_down", "bytes_up", "local_steps", "samples", "adapt_steps")
"""Costs that are the same wherever a run is computed."""


@dataclass
class Merged:
    """What became of the runs: ids that were copied, ids that were there already, what is another one there, and what
    was left out, each with why."""

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
        for outer, inner in ((source, target), (target, source)):
            if (outer / "runs").resolve() in (inner.resolve(), *inner.resolve().parents):
                raise RequestError(f"merge: {inner} lies among the runs of {outer}; give --into a folder beside it")
    return list({(source.resolve(), target.resolve()): (source, target) for source, target in found}.values())


def merge(source: Path, into: Path) -> Merged:
    """Copy the runs of a suite's folder into another, with their partitions; packed ones into the packed file there.
    Nothing that is there is overwritten but an unfinished run, by a finished one."""
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
    _merge_partitions(source, into, merged)
    try:
        with ledger.lock(PATIENCE):
            merged.copied += join(source, into)
    except (RequestError, Unreadable) as error:
        merged.clashes.append(Problem(PACKED, str(error)))
    return merged


def _merge_partitions(source: Path, into: Path, merged: Merged) -> None:
    for table in sorted((source / "partitions").glob("*.csv")):
        target = into / "partitions" / table.name
        try:
            text = read_text(table, MOST_TABLE_BYTES)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                write_text(target, text)
            elif read_text(target, MOST_TABLE_BYTES) != text:
                merged.clashes.append(Problem(f"partitions/{table.name}", "other samples under the same hash"))
        except (Unreadable, OSError) as error:
            merged.unreadable.append(Problem(str(table), one_line(error)))


def _merge_run(source: Path, ledger: Ledger, record: Record, merged: Merged) -> None:
    own, place = source / "runs" / record.id, ledger.runs / record.id
    there = find_record(place)
    if there is None and os.path.lexists(place):
        why = ledger.unbelievable(record.id) or "it is no folder of a run"
        merged.clashes.append(Problem(record.id, f"what is in its place cannot be used: {why}"))
        return
    if there is not None and (there.final or not record.final):
        why = clash(there, record, place, own)
        if why and record.final:
            merged.clashes.append(Problem(record.id, why))
        else:
            merged.known.append(record.id)
        return
    staged = beside(place, STAGED)
    try:
        shutil.rmtree(staged, ignore_errors=True)
        strays = _copy(own, staged)
        if os.path.lexists(place):
            shutil.rmtree(place)
        staged.rename(place)
    except OSError as error:
        shutil.rmtree(staged, ignore_errors=True)
        merged.unreadable.append(Problem(str(own), f"it could not be copied: {one_line(error)}"))
        return
    merged.unreadable += [Problem(str(stray), "it is no regular file; the rest was copied") for stray in strays]
    merged.copied.append(record.id)


def _copy(own: Path, staged: Path) -> list[Path]:
    """Copy a run's files, none that are hidden; what is none: links, pipes, folders."""
    staged.mkdir(parents=True)
    strays = []
    for path in sorted(path for path in own.iterdir() if not path.name.startswith(".")):
        if path.is_symlink() or not path.is_file():
            strays.append(path)
        else:
            shutil.copy2(path, staged / path.name)
    return strays


def clash(one: Record, other: Record, place: Path, elsewhere: Path) -> str:
    """In what two runs of one id are not the same; "" if in nothing."""
    parts = [
        *(["the data"] if one.data_sha256 != other.data_sha256 else []),
        *(["the split"] if one.partition_sha256 != other.partition_sha256 else []),
        *differences(one, sources_of_record(other)),
    ]
    if parts:
        return f"computed on other things: {', '.join(parts)}"
    here, there = (f"{_result(run)} in {at.parent.parent}" for run, at in ((one, place), (other, elsewhere)))
    libraries = [str(run.versions.get("torch")) for run in (one, other)]
    computed = f" (torch {libraries[0]}, and {libraries[1]})" if libraries[0] != libraries[1] else ""
    if (one.status, one.summary) != (other.status, other.summary):
        return f"other numbers: {here}, {there}{computed}"
    costs = [name for name in COUNTED if one.costs.get(name) != other.costs.get(name)]
    if costs:
        return f"other costs: {', '.join(costs)}{computed}"
    return f"other clients' scores, in clients.csv{computed}" if _clients(place) != _clients(elsewhere) else ""


def _clients(place: Path) -> str:
    try:
        return read_text(place / "clients.csv", MOST_TABLE_BYTES)
    except (FileNotFoundError, Unreadable):
        return ""


def _result(record: Record) -> str:
    accuracy = record.official.best.get("accuracy")
    return f"accuracy {accuracy:.6g}" if isinstance(accuracy, int | float) else record.status
