"""What of a run must survive it: its events, written to the ledger as they come."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pfl_bench.engine.events import Checkpoint, Event, Failure, Progress, RunResult
from pfl_bench.errors import LONGEST, one_line
from pfl_bench.registry import METHODS
from pfl_bench.results.fields import Fields
from pfl_bench.results.ledger import Ledger
from pfl_bench.results.record import Record
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec
from pfl_bench.text import printable, shortened

from .provenance import commit, versions
from .reuse import Basis, Standing
from .sources import unseen


class Keeper:
    """Writes the runs of a request to a ledger that the caller has locked."""

    def __init__(
        self, suite: str, bases: Mapping[str, Basis], options: Options, ledger: Ledger, standing: Standing,
        origins: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._suite, self._bases, self._options, self._ledger = suite, bases, options, ledger
        self._origins = origins
        self._aside = dict(standing.renewed)  # why a run of the same id, there already, is kept aside
        self._begun = {run_id: _earlier(record) for run_id, record in standing.resumable.items()}

    def begin(self, run_id: str, standing: Standing) -> None:
        """A run is about to start: how the ledger stands to it by now."""
        self._aside.pop(run_id, None), self._begun.pop(run_id, None)
        self._aside |= standing.renewed
        self._begun |= {resumed: _earlier(record) for resumed, record in standing.resumable.items()}

    def keep(self, run: RunSpec, event: Event) -> str:
        """Write what must survive. Returns why the run has failed, or "": it has not, or goes on.

        A full disk, or a result that cannot be written, fails this run, and the others go on.
        """
        if isinstance(event, Progress):
            return ""
        try:
            self._write(run, event)
        except Exception as error:
            if isinstance(event, Checkpoint):  # a lost checkpoint costs time, not the result
                return ""
            reason = f"could not be written: {one_line(error)}"
            with suppress(Exception):  # the reason is short; it may still fit
                self._save(run, {"status": "failed", "reason": reason})
            return reason
        if isinstance(event, Failure) or (isinstance(event, RunResult) and event.status == "diverged"):
            return event.reason
        return ""

    def _write(self, run: RunSpec, event: Checkpoint | Failure | RunResult) -> None:
        if isinstance(event, Checkpoint):
            facts = {
                "status": "unfinished",
                "official_moment": METHODS.get(run.method).moment,
                "device": self._options.device,
                **({"backend": event.backend} if event.backend else {}),
                "versions": versions(),
            }
            self._save(run, facts, history=event.history, checkpoint=event.data)
        elif isinstance(event, Failure):
            self._save(run, {"status": "failed", "reason": _short(event.reason)}, error=event.details)
        else:
            facts = {"status": event.status, "reason": _short(event.reason), "summary": event.summary, **event.facts}
            tables = {"clients": event.clients, **event.tables}
            self._save(run, facts, history=event.history, tables=tables, models=event.models)

    def _save(self, run: RunSpec, facts: Mapping[str, Any], **files: Any) -> None:
        """A run on other data, splits or code goes aside when its successor has ended, and not before."""
        waits = facts["status"] == "unfinished" and self._ledger.is_final(run.id)
        aside = "" if waits else self._aside.get(run.id, "")
        record = {**self._record(run), **facts}
        earlier = [one for one in self._begun.get(run.id, []) if one != _circumstances(record, one)]
        self._ledger.save(run.id, {**record, **({"begun_under": earlier} if earlier else {})}, aside=aside, **files)
        if not waits:
            self._aside.pop(run.id, None)

    def _record(self, run: RunSpec) -> dict[str, Any]:
        basis = self._bases[run.id]
        return {
            "suite": self._suite,
            "method": run.method,
            "config": run.config.model_dump(mode="json"),
            "config_identity": run.config_identity,
            "config_hash": run.config_hash,
            **({"config_from": origin} if (origin := self._origins.get(run.id)) else {}),
            "scenario": run.scenario.identity(),
            "seed": run.seed,
            "partition_sha256": basis.partition,
            "data_sha256": basis.data,
            "data_facts": dict(basis.facts),
            "method_source_sha256": next(sha for key, sha in basis.sources.items() if key.startswith("method:")),
            "sources": basis.sources,
            **unseen(basis.sources),
            **commit().as_record(),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def _short(reason: str) -> str:
    """As it is shown: a record must stay readable, whatever a method has to say."""
    return shortened(printable(" ".join(reason[: 10 * LONGEST].split())), LONGEST)


def _earlier(record: Record) -> list[Fields]:
    """Under what an unfinished run was computed so far: commit, torch version, device and, if known, back-end of each
    piece."""
    last = {"git_commit": record.git_commit, "torch": record.versions.get("torch"), "device": record.device}
    if record.backend:
        last["backend"] = record.backend
    return [*(one for one in record.begun_under if one != last), last]


def _circumstances(record: Fields, like: Fields) -> Fields:
    """The same of a record that is about to be written; what is not known there yet is taken to be ``like`` before."""
    torch = record.get("versions", {}).get("torch", like.get("torch"))
    known = {"git_commit": record["git_commit"], "torch": torch, "device": record.get("device", like.get("device"))}
    if "backend" in like:
        known["backend"] = record.get("backend") or like["backend"]
    return known
