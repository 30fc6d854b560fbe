"""The run ledger: one folder per run, written beside its place and renamed into it.

A reader never sees half a run; a driver killed at any moment leaves a ledger that the next one can go on from.
Imports neither torch nor ray.
"""

import csv
import io
import itertools
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import filelock

from pfl_bench.errors import RequestError, one_line

from .escapes import for_csv
from .files import write_text
from .record import RUN, SCHEMA, Record, Unreadable, find_record, read_record

CHECKPOINT, ERROR, ASIDE = "checkpoint.safetensors", "error.txt", "aside.json"


def check_writable(folder: Path) -> None:
    """RequestError unless ``folder`` is, or can become, a folder that we may write to. Writes nothing."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise RequestError(f"--out: {str(folder)!r} cannot be written: {place} is not a writable folder")


class Ledger:
    """The runs below ``<folder>/runs``. Only the driver that holds ``lock`` writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Own the ledger; RequestError if another driver does. Mends what a killed driver left half done."""
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            guard = filelock.FileLock(self.folder / ".lock", timeout=0)
            guard.acquire()
        except filelock.Timeout as error:
            raise RequestError(
                f"--out: another run is writing to {self.folder}; wait for it, or choose another folder"
            ) from error
        except OSError as error:
            raise RequestError(f"--out: {str(self.folder)!r} cannot be written: {one_line(error)}") from error
        try:
            self._mend()
            yield
        finally:
            guard.release()

    def _mend(self) -> None:
        for beside in sorted(self.runs.glob(".*.new")):
            place = self.runs / beside.name[1:-4]
            if not place.exists() and find_record(beside) is not None:
                beside.rename(place)
            else:
                shutil.rmtree(beside, ignore_errors=True)
        for previous in self.runs.glob(".*.old"):
            place = self.runs / previous.name[1:-4]
            if place.exists():
                shutil.rmtree(previous, ignore_errors=True)
            else:
                previous.rename(place)

    def is_final(self, run_id: str) -> bool:
        """Whether a run has its result and need not be repeated."""
        record = self.record(run_id)
        return record is not None and record.final

    def record(self, run_id: str) -> Record | None:
        """A run's ``run.json``, or None if there is none that can be read."""
        return find_record(self.runs / run_id)

    def unbelievable(self, run_id: str) -> str:
        """Why there is a ``run.json`` that cannot be used; "" if it can, or if there is none."""
        place = self.runs / run_id
        try:
            read_record(place)
        except Unreadable as error:
            return str(error) if (place / RUN).exists() else ""
        return ""

    def checkpoint(self, run_id: str) -> bytes | None:
        """The last checkpoint of an unfinished run."""
        try:
            return (self.runs / run_id / CHECKPOINT).read_bytes()
        except OSError:
            return None

    def error_file(self, run_id: str) -> Path | None:
        """Where a failed run's traceback is, if there is one."""
        path = self.runs / run_id / ERROR
        return path if path.is_file() else None

    def save_partition(self, sha256: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep who holds what, once per partition, in ``partitions/<hash>.csv``; nothing if it cannot be written."""
        place = self.folder / "partitions" / f"{sha256[:12]}.csv"
        if place.exists():
            return
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            write_text(place, _csv(rows))

    def save(
        self,
        run_id: str,
        record: Mapping[str, Any],
        *,
        history: Sequence[Mapping[str, Any]] = (),
        tables: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
        checkpoint: bytes | None = None,
        error: str | None = None,
        aside: str = "",
    ) -> None:
        """Write a run's folder as a whole, ``tables`` as ``<name>.csv``. OSError (a full disk) changes nothing.

        It takes the place of one that is there, or, with a reason in ``aside``, that one is kept in
        ``<folder>/aside/<run-id>.<n>/`` with the reason in its ``aside.json``.
        """
        place, beside = self.runs / run_id, self.runs / f".{run_id}.new"
        previous = self.runs / f".{run_id}.old"
        shutil.rmtree(beside, ignore_errors=True)
        try:
            beside.mkdir(parents=True)
            for name, rows in {"history": history, **(tables or {})}.items():
                if rows:
                    (beside / f"{name}.csv").write_text(_csv(rows), encoding="utf-8")
            if checkpoint is not None:
                (beside / CHECKPOINT).write_bytes(checkpoint)
            if error is not None:
                (beside / ERROR).write_text(error, encoding="utf-8")
            text = json.dumps(_finite({"schema": SCHEMA, "id": run_id, **record}), indent=1, allow_nan=False)
            (beside / RUN).write_text(text + "\n", encoding="utf-8")  # last: a folder with it is complete
            if aside and place.exists():
                self._set_aside(place, aside)
        except OSError:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        if place.exists():
            place.rename(previous)
        beside.rename(place)
        shutil.rmtree(previous, ignore_errors=True)

    def _set_aside(self, place: Path, reason: str) -> None:
        kept = self.folder / "aside"
        kept.mkdir(exist_ok=True)
        number = next(n for n in itertools.count(1) if not (kept / f"{place.name}.{n}").exists())
        (place / ASIDE).write_text(json.dumps({"computed_on_other": reason}) + "\n", encoding="utf-8")
        place.rename(kept / f"{place.name}.{number}")


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: for_csv(cell) for name, cell in row.items()} for row in rows)
    return text.getvalue()


def _finite(value: Any) -> Any:
    """JSON has no NaN: a number that is none becomes null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
