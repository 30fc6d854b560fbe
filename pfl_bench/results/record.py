"""``run.json`` as a typed record: the one reader of it. Imports neither torch nor ray."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pfl_bench.metrics import PRIMARY, leading
from pfl_bench.spec.identity import as_written
from pfl_bench.text import shortened

from .agreement import check_figures, check_request, check_tables
from .fields import Fields, Figure, as_amounts, as_figure, as_object, as_scalars, as_shown, as_text, cleaned
from .fields import number as number
from .files import Unreadable as Unreadable
from .files import read_json

SCHEMA = 1
RUN = "run.json"
TROUBLES = ("failed", "diverged", "skipped", "unfinished")
STATUSES = ("finished", *TROUBLES)
FINAL = ("finished", "diverged", "skipped")


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
    run that were computed under others than the last. ``config_from``: who chose the hyper-parameters, ``suite``,
    ``request`` or nobody (``defaults``). What a run does not say is None or empty.
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
    rounds: Figure = None
    state_floats: Figure = None
    shared_floats: Figure = None
    config_from: str | None = None
    begun_under: tuple[Fields, ...] = ()

    @property
    def final(self) -> bool:
        """Whether the run has its result and need not be repeated."""
        return self.status in FINAL

    @cached_property
    def official(self) -> Picked:
        """The scores of the method's official moment."""
        return self.at(self.moment)

    def at(self, moment: str | None) -> Picked:
        """The scores of a moment; empty where the run has none."""
        return self.summary.get(moment or "", Picked())

    @property
    def primary(self) -> str:
        """The metric that chose among the run's evaluations, and ranks it."""
        return str(self.scenario.get("primary", PRIMARY))

    @property
    def candidates(self) -> Any:
        """Among how many evaluations of the official moment the best was picked; older runs do not say, and are taken
        to have been evaluated as often as their scenario asks, all evaluations being selectable."""
        if "candidates" in self.official.best:
            return self.official.best["candidates"]
        every, adapted = self.scenario.get("eval_every"), self.scenario.get("adapt_every")
        every = adapted if self.moment == "adapted" and adapted is not None else every
        return math.ceil(self.visits / every) if isinstance(every, int) and every > 0 else None

    @cached_property
    def scenario_hash(self) -> str:
        """Tells scenarios of one id but different content apart."""
        return hashlib.sha256(json.dumps(self.scenario, sort_keys=True).encode()).hexdigest()[:12]

    @classmethod
    def parse(cls, run_id: str, document: Any) -> "Record":
        """Check and type what ``run.json`` holds; Unreadable says what is wrong with it."""
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            version = document.get("schema") if isinstance(document, dict) else None
            raise Unreadable(f"{RUN} has schema {shortened(repr(version), 60)}; this version reads {SCHEMA}")
        try:
            record = _typed(run_id, document)
            check_figures(as_object(document.get("summary")))
            accuracy = number(record.official.best.get("accuracy"))
        except KeyError as error:
            raise Unreadable(f"{RUN} lacks the field {error}") from error
        except Unreadable:
            raise
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Unreadable(f"{RUN} has a field of the wrong type") from error
        if record.status not in STATUSES:
            raise Unreadable(f"its status {shortened(record.status, 60)!r} is none of {', '.join(STATUSES)}")
        if record.primary not in leading():
            raise Unreadable(f"its primary metric {shortened(record.primary, 60)!r} is none of {', '.join(leading())}")
        if record.status == "finished" and accuracy is None:
            raise Unreadable("it is finished but has no accuracy")
        return record


def read_record(folder: Path) -> Record:
    """The record of a run's folder.

    Unreadable if it is missing, damaged, foreign or of another version, or if the folder contradicts itself
    (``agreement``).
    """
    document = read_json(folder / RUN)
    record = Record.parse(folder.name, document)
    try:
        check_request(folder.name, document)
        spent = record.costs if record.status == "finished" else None
        check_tables(folder, as_object(document.get("summary")), record.primary, spent)
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"{RUN} has a field of the wrong type") from error
    return record


def find_record(folder: Path) -> Record | None:
    """``read_record``, or None where there is none that can be read."""
    try:
        return read_record(folder)
    except Unreadable:
        return None


def _typed(run_id: str, document: Fields) -> Record:
    scenario = as_object(document["scenario"])
    return Record(
        id=run_id,
        scenario=scenario,
        scenario_id=as_shown(scenario["id"]),
        method=as_shown(document["method"]),
        config_hash=as_shown(document["config_hash"]),
        seed=int(as_figure(document["seed"])),
        status=str(document["status"]),
        visits=int(as_figure(scenario["visits"])),
        local_steps=int(as_figure(scenario["local_steps"])),
        budget_scale=as_figure(scenario["budget_scale"]),
        precision=str(scenario["precision"]),
        reason=as_text(document.get("reason")) or "",
        moment=as_text(document.get("official_moment")),
        summary={
            str(moment): Picked(as_object(as_object(picked).get("best")), as_object(as_object(picked).get("last")))
            for moment, picked in as_object(document.get("summary")).items()
        },
        costs=as_amounts(document.get("costs")),
        config=cleaned(as_written(str(document["method"]), as_object(document.get("config")))),
        data_facts=as_object(document.get("data_facts")),
        sources={str(role): str(sha256) for role, sha256 in as_object(document.get("sources")).items()},
        versions=as_scalars(document.get("versions")),
        hardware=as_scalars(document.get("hardware")),
        peak_memory_bytes=number(document.get("peak_memory_bytes")),
        client_model_size=number(document.get("client_model_size")),
        rounds=number(document.get("rounds")),
        state_floats=number(document.get("state_floats")),
        shared_floats=number(document.get("shared_floats")),
        begun_under=tuple(as_object(piece) for piece in document.get("begun_under", ())),
        **{name: as_text(document.get(name)) for name in _TEXTS},
    )


_TEXTS = (
    "suite", "config_from", "partition_sha256", "data_sha256", "method_source_sha256", "git_commit", "backend",
    "device", "time",
)  # fmt: skip
