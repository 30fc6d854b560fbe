"""The run ledger: one folder per run, written beside its place and renamed into it.

A reader never sees half a run; a driver killed at any moment leaves a ledger that the next one can go on from.
Imports neither torch nor ray.
"""

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pfl_bench.errors import RequestError, shown

from .escapes import for_csv
from .files import write_text
from .leftovers import ASIDE, BEGUN, CHECKPOINT, ERROR, MODELS, REPLACED, STAGED, beside, clear, is_ours, move_aside
from .record import FINAL, RUN, SCHEMA, Record, Unreadable, find_record, read_record
from .shared import SharedFolder


def check_writable(folder: Path) -> None:
    """RequestError unless ``folder`` is, or can become, a folder that we may write to. Writes nothing."""
    if "\0" in str(folder):
        raise RequestError(f"results folder {shown(str(folder))} cannot be written: no path has a NUL")
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise RequestError(f"results folder {str(folder)!r} cannot be written: {place} is not a writable folder")


class Ledger(SharedFolder):
    """The runs below ``<folder>/runs``: read by anybody, written by who has taken a run, or holds the lock."""

    def is_final(self, run_id: str) -> bool:
        """Whether a run has its result and need not be repeated."""
        record = self.record(run_id)
        return record is not None and record.final

    def record(self, run_id: str) -> Record | None:
        """A run's ``run.json``, or None if there is none that can be read."""
        return find_record(self.runs / run_id)

    def stamp(self, run_id: str) -> int:
        """Tells a run's record from one that took its place; 0 where there is none."""
        try:
            return (self.runs / run_id / RUN).stat().st_mtime_ns
        except OSError:
            return 0

    def unbelievable(self, run_id: str) -> str:
        """Why there is a ``run.json`` that cannot be used; "" if it can, or if there is none."""
        place = self.runs / run_id
        try:
            read_record(place)
        except Unreadable as error:
            return str(error) if (place / RUN).exists() else ""
        return ""

    def begun(self, run_id: str) -> Record | None:
        """The record of the unfinished, or failed, successor of a final run."""
        return find_record(beside(self.runs / run_id, BEGUN))

    def forget_begun(self, run_id: str) -> None:
        """Remove that successor: the final run stands."""
        self._clear(beside(self.runs / run_id, BEGUN))

    def checkpoint(self, run_id: str) -> bytes | None:
        """The last checkpoint of an unfinished run."""
        path = self._find(run_id, CHECKPOINT)
        try:
            return None if path is None else path.read_bytes()
        except (OSError, MemoryError):  # one that no memory holds is none of ours
            return None

    def error_file(self, run_id: str) -> Path | None:
        """Where a failed run's traceback is, if there is one."""
        return self._find(run_id, ERROR)

    def models(self, run_id: str) -> Path | None:
        """Where the models are that a run has kept, if it has (``engine.kept``)."""
        place = self.runs / run_id / MODELS
        return place if place.is_file() else None

    def _find(self, run_id: str, name: str) -> Path | None:
        """A run's file of this name, in its place or that of its successor."""
        place = self.runs / run_id
        return next((path / name for path in (place, beside(place, BEGUN)) if (path / name).is_file()), None)

    def save_partition(self, sha256: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep who holds what, once per partition, in ``partitions/<hash>.csv``; nothing if it cannot be written."""
        place = self.folder / "partitions" / f"{sha256[:12]}.csv"
        if place.exists():
            return
        with suppress(OSError):
            self._renew()
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
        models: bytes | None = None,
        aside: str = "",
    ) -> None:
        """Write a run's folder as a whole, ``tables`` as ``<name>.csv``. OSError (a full disk) changes nothing.

        It takes the place of one that is there, or, with a reason in ``aside``, that one is kept in
        ``<folder>/aside/<run-id>.<n>/`` with the reason in its ``aside.json``. A final run gives way to another final
        one only, unless a reason is given: until then its successor is kept beside it (``begun``).
        """
        self._renew(run_id)
        place = self.runs / run_id
        staged, replaced, begun = (beside(place, ending) for ending in (STAGED, REPLACED, BEGUN))
        self._clear(staged)
        try:
            staged.mkdir(parents=True)
            for name, rows in {"history": history, **(tables or {})}.items():
                if rows:
                    (staged / f"{name}.csv").write_text(_csv(rows), encoding="utf-8")
            if checkpoint is not None:
                (staged / CHECKPOINT).write_bytes(checkpoint)
            if models is not None:
                (staged / MODELS).write_bytes(models)
            if error is not None:
                (staged / ERROR).write_text(error, encoding="utf-8", errors="backslashreplace")
            text = json.dumps(_finite({"schema": SCHEMA, "id": run_id, **record}), indent=1, allow_nan=False)
            (staged / RUN).write_text(text + "\n", encoding="utf-8")  # last: a folder with it is complete
            if not aside and record["status"] not in FINAL and self.is_final(run_id):
                self._clear(begun)
                staged.rename(begun)
                return
            if aside and place.is_dir():
                (place / ASIDE).write_text(json.dumps({"computed_on_other": aside}) + "\n", encoding="utf-8")
                move_aside(place, self.aside)
            if is_ours(place):
                self._clear(replaced)
                place.rename(replaced)
            self._clear(place)
        except OSError:
            self._clear(staged)
            raise
        staged.rename(place)
        self._clear(replaced)
        self._clear(begun)

    def _clear(self, path: Path) -> None:
        moved = clear(path, self.aside)
        self.moved += [moved] if moved else []


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
