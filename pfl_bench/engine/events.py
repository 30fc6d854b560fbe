"""What a run reports while it goes on, and what it leaves behind. Plain data: it travels between processes."""

from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["finished", "diverged", "skipped"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Progress:
    """How far a run is, in client visits, and its accuracy on validation there in percent, if it was evaluated (or what
    the scenario has as its primary metric).

    ``costs``: what it has spent by then (``pfl_bench.engine.costs``).
    """

    visits: int
    accuracy: float | None
    costs: Row = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """Everything needed to go on from here, as bytes (``pfl_bench.engine.checkpoint``); the evaluations so far, and the
    back-end's name."""

    data: bytes
    history: list[Row] = field(default_factory=list)
    backend: str | None = None


@dataclass(frozen=True)
class RunResult:
    """What a run leaves behind.

    ``summary``: per moment and selection (``best`` on validation, ``last``) the test statistics in percent.
    ``history``: a row per evaluation, moment and split. ``clients``: a row per moment, selection and client.
    ``tables``: further rows by name: ``union`` (each client's model on the test data of all), ``novel`` (enrolled
    clients), ``vectors`` (what the server knows of clients), ``clusters`` (whom the method takes for alike).
    ``models``: the clients' models at the end, where they are to be kept (``kept``).
    """

    status: Status
    reason: str = ""
    summary: dict[str, dict[str, Row]] = field(default_factory=dict)
    history: list[Row] = field(default_factory=list)
    clients: list[Row] = field(default_factory=list)
    tables: dict[str, list[Row]] = field(default_factory=dict)
    facts: Row = field(default_factory=dict)
    models: bytes | None = None


@dataclass(frozen=True)
class Failure:
    """A run that raised: one line and the whole traceback."""

    reason: str
    details: str


Event = Progress | Checkpoint | RunResult | Failure
