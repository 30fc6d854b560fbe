"""``run.json`` as a typed record: the one reader of it. Imports neither torch nor ray."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

SCHEMA = 1
RUN = "run.json"
TROUBLES = ("failed", "diverged", "skipped", "unfinished")
STATUSES = ("finished", *TROUBLES)
FINAL = ("finished", "diverged", "skipped")

Figure = int | float | None
Fields = Mapping[str, Any]


class Unreadable(ValueError):
    """A record that cannot be used. Its text says why, on one line."""


@dataclass(frozen=True)
class Picked:
    """What one moment scored, by metric: ``best`` at the evaluation chosen on validation, ``last`` at the end."""

    best: Fields = field(default_factory=dict)
    last: Fields = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """One run: what was asked, what it was computed on, what came of it. Fields that we do not know are ignored.

    ``scenario`` and ``config`` are as they were hashed; ``moment`` is the method's official one; ``costs`` counts
    bytes, gradients, samples and seconds; ``sources`` maps a role (``method``, ``model``, ...) to the SHA-256 of what
    filled it (older runs have none). ``begun_under``: commit, torch version and device of earlier pieces of a resumed
    run that were computed under others than the last. What a run does not say is None or empty.
    """

    id: str
    suite: str | None
    method: str
    config: Fields
    config_hash: str
    scenario_id: str
    scenario: Fields
    seed: int
    visits: int
    local_steps: int
    budget_scale: float
    precision: str
    status: str
    reason: str
    moment: str | None
    summary: Mapping[str, Picked]
    costs: Fields
    partition_sha256: str | None
    data_sha256: str | None
    data_facts: Fields
    method_source_sha256: str | None
    sources: Mapping[str, str]
    versions: Fields
    hardware: Fields
    git_commit: str | None
    backend: str | None
    device: str | None
    time: str | None
    peak_memory_bytes: Figure
    client_model_size: Figure
    begun_under: tuple[Fields, ...] = ()

    @property
    def final(self) -> bool:
        """Whether the run has its result and need not be repeated."""
        return self.status in FINAL

    @property
    def official(self) -> Picked:
        """The scores of the method's official moment."""
        return self.at(self.moment)

    def at(self, moment: str | None) -> Picked:
        """The scores of a moment; empty where the run has none."""
        return self.summary.get(moment or "", Picked())

    @cached_property
    def scenario_hash(self) -> str:
        """Tells scenarios of one id but different content apart."""
        return hashlib.sha256(json.dumps(self.scenario, sort_keys=True).encode()).hexdigest()[:12]

    @classmethod
    def parse(cls, run_id: str, document: Any) -> "Record":
        """Check and type what ``run.json`` holds; Unreadable says what is wrong with it."""
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            version = document.get("schema") if isinstance(document, dict) else None
            raise Unreadable(f"{RUN} has schema {version!r}; this version reads {SCHEMA}")
        if document.get("id", run_id) != run_id and not run_id.startswith("."):  # those are being written
            raise Unreadable(f"{RUN} is of the run {document['id']!r}: a copy, or renamed")
        try:
            record = _typed(run_id, document)
            accuracy = number(record.official.best.get("accuracy"))
        except KeyError as error:
            raise Unreadable(f"{RUN} lacks the field {error}") from error
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Unreadable(f"{RUN} has a field of the wrong type") from error
        if record.status not in STATUSES:
            raise Unreadable(f"its status {record.status!r} is none of {', '.join(STATUSES)}")
        if record.status == "finished" and accuracy is None:
            raise Unreadable("it is finished but has no accuracy")
        return record


def read_record(folder: Path) -> Record:
    """The record of a run's folder. Unreadable if it is missing, damaged, foreign, or of another version."""
    try:
        document = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except OSError as error:
        raise Unreadable(f"there is no {RUN} in it") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{RUN} is not JSON, or was cut off") from error
    return Record.parse(folder.name, document)


def find_record(folder: Path) -> Record | None:
    """``read_record``, or None where there is none that can be read."""
    try:
        return read_record(folder)
    except Unreadable:
        return None


def number(value: Any) -> Figure:
    """A figure as it was written; None for none and for NaN or infinity, which no figure may be."""
    if value is None or not math.isfinite(figure := float(value)):
        return None
    return value if isinstance(value, int) else figure


def _typed(run_id: str, document: Fields) -> Record:
    scenario = _fields(document["scenario"])
    return Record(
        id=run_id,
        scenario=scenario,
        scenario_id=str(scenario["id"]),
        method=str(document["method"]),
        config_hash=str(document["config_hash"]),
        seed=int(_figure(document["seed"])),
        status=str(document["status"]),
        visits=int(_figure(scenario["visits"])),
        local_steps=int(_figure(scenario["local_steps"])),
        budget_scale=_figure(scenario["budget_scale"]),
        precision=str(scenario["precision"]),
        reason=_text(document.get("reason")) or "",
        moment=_text(document.get("official_moment")),
        summary={
            str(moment): Picked(_fields(_fields(picked).get("best")), _fields(_fields(picked).get("last")))
            for moment, picked in _fields(document.get("summary")).items()
        },
        costs=_fields(document.get("costs")),
        config=_fields(document.get("config")),
        data_facts=_fields(document.get("data_facts")),
        sources={str(role): str(sha256) for role, sha256 in _fields(document.get("sources")).items()},
        versions=_fields(document.get("versions")),
        hardware=_fields(document.get("hardware")),
        peak_memory_bytes=number(document.get("peak_memory_bytes")),
        client_model_size=number(document.get("client_model_size")),
        begun_under=tuple(_fields(piece) for piece in document.get("begun_under", ())),
        **{name: _text(document.get(name)) for name in _TEXTS},
    )


_TEXTS = (
    "suite", "partition_sha256", "data_sha256", "method_source_sha256", "git_commit", "backend", "device", "time",
)  # fmt: skip


def _fields(value: Any) -> Fields:
    """An object; an empty one where there is none."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError
    return value


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def _figure(value: Any) -> int | float:
    """A figure that has to be there."""
    found = number(value)
    if found is None:
        raise TypeError
    return found
