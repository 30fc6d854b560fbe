"""What a column is, as data: the one list that the frame, the leaderboard, its texts and the report are made from.

A further column is one entry here; a further figure over clients is one entry of ``pfl_bench.metrics.METRICS``, a
further cost counter one ``_cost`` of the counter's name. Groups are put together when they are asked for.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from pfl_bench import metrics
from pfl_bench.metrics import PRIMARY, Better

from .record import Record, number

OverSeeds = Literal["mean", "first", "none"]


@dataclass(frozen=True)
class Column:
    """One column of the runs, which ``runs.csv`` always has, and where else it goes.

    ``figure``: a number (checked). ``over_seeds``: how ``leaderboard.csv`` aggregates it, if at all; ``first`` for
    what is equal in all runs of a row. ``shown``: whether the tables to read (terminal, Markdown, LaTeX, report) have
    its mean, as ``value / scale`` with so many ``digits``, or the report alone; ``when_used``: only where one is not
    zero; ``keep``: in a narrow terminal the lowest goes first. ``details``: among the report's run details, a run's
    ``own`` value or one ``shared`` by many. ``later``: not in the CSV files where no run has it.
    """

    key: str
    read: Callable[[Record], Any]
    figure: bool = False
    over_seeds: OverSeeds = "none"
    shown: Literal["everywhere", "report", "nowhere"] = "nowhere"
    heading: str = ""
    note: str = ""
    unit: str = ""
    digits: int = 2
    scale: float = 1.0
    better: Better = "none"
    when_used: bool = False
    keep: int = 0
    details: Literal["own", "shared", "no"] = "no"
    later: bool = False

    def value(self, record: Record) -> Any:
        """The run's cell. TypeError, ValueError or OverflowError where a figure is none."""
        found = self.read(record)
        return number(found) if self.figure else found

    @property
    def explanation(self) -> str:
        """What the heading is too short for."""
        direction = "" if self.better == "none" else f"{self.better} is better"
        return "; ".join(part for part in (self.note, self.unit, direction) if part)

    def used_in(self, table: pd.DataFrame) -> bool:
        """Whether a table to read has something to show here."""
        known = table[self.key].notna() if self.key in table else pd.Series(dtype=bool)
        if self.later and not known.any():
            return False
        return not self.when_used or bool((known & (table[self.key] != 0)).any())


def _of_metric(metric: metrics.Metric) -> Column:
    return Column(
        metric.key,
        lambda record: record.official.best.get(metric.key),
        figure=True,
        over_seeds="mean" if metric.averaged else "none",
        shown=metric.shown,
        heading=metric.heading,
        note=metric.note,
        unit=metric.unit,
        digits=metric.digits,
        better=metric.better,
        keep=metric.keep,
        details="own" if metric.key == "accuracy" else "no",
        later=metric.later,
    )


def _accuracy(key: str, read: Callable[[Record], Any], **more: Any) -> Column:
    more = {"over_seeds": "mean", "unit": "percent", "better": "higher", **more}
    return Column(key, read, figure=True, **more)


def _at(moment: str) -> Column:
    return _accuracy(f"{moment}_accuracy", lambda record: record.at(moment).best.get("accuracy"))


def _at_the_end(key: str, **more: Any) -> Column:
    return _accuracy(
        key, lambda record: record.official.last.get(key), **{"shown": "everywhere", "later": True, **more}
    )


def _cost(key: str, **more: Any) -> Column:
    return Column(key, lambda record: record.costs.get(key), figure=True, better="lower", **more)


def _asked(key: str, **more: Any) -> Column:
    """A counter of what was asked of clients, where they may be away: else it says what the budget says."""

    def read(record: Record) -> Any:
        return record.costs.get(key) if record.scenario.get("availability") else None

    return Column(key, read, figure=True, over_seeds="mean", later=True, digits=0, **more)


def _seconds(record: Record) -> Any:
    costs = record.costs
    return costs.get("train_seconds", 0) + costs.get("eval_seconds", 0) if costs else None


_MEAN: dict[str, Any] = {"over_seeds": "mean"}
_SHOWN: dict[str, Any] = {"over_seeds": "mean", "shown": "everywhere"}
_MEGABYTES: dict[str, Any] = {"unit": "MB", "scale": 1e6, "over_seeds": "mean"}
_FORWARD: dict[str, Any] = {**_SHOWN, "unit": "samples", "digits": 0, "when_used": True}

RUN = (
    Column("run_id", lambda r: r.id, details="own"),
    Column("suite", lambda r: r.suite, details="shared"),
    Column("scenario", lambda r: r.scenario_id, over_seeds="first"),
    Column("method", lambda r: r.method, over_seeds="first"),
    Column("config_hash", lambda r: r.config_hash, over_seeds="first"),
    Column("seed", lambda r: r.seed, figure=True, details="own"),
    Column("status", lambda r: r.status, details="own"),
    Column("reason", lambda r: r.reason, details="own"),
    Column("moment", lambda r: r.moment, over_seeds="first"),
)
BUDGET = (
    Column("visits", lambda r: r.visits, figure=True, over_seeds="first"),
    Column("local_steps_per_visit", lambda r: r.local_steps, figure=True, over_seeds="first"),
    Column("budget_scale", lambda r: r.budget_scale, figure=True, over_seeds="first"),
    Column("candidates", lambda r: r.candidates, figure=True, over_seeds="first"),
    Column("primary", lambda r: r.scenario.get("primary"), over_seeds="first", later=True),
    Column("config_from", lambda r: r.config_from, over_seeds="first", details="shared", later=True),
)
SCORES = (
    _accuracy("validation_accuracy", lambda r: r.official.best.get("validation_accuracy")),
    Column("best_visits", lambda r: r.official.best.get("visits"), figure=True, details="own"),
    _accuracy("last_accuracy", lambda r: r.official.last.get("accuracy"), shown="everywhere", heading="last",
              note="accuracy at the end of the budget", keep=5, details="own"),
    _at("global"),
    _at("received"),
    _at("adapted"),
    Column("validation_primary", lambda r: r.official.best.get("validation_primary"), figure=True, later=True),
    _accuracy("pooled_accuracy", lambda r: None if r.primary == PRIMARY else r.official.best.get("accuracy"),
              shown="everywhere", heading="pooled accuracy", note="of all samples of all clients", later=True, keep=4),
    _at_the_end("union_accuracy", heading="on all test data", keep=3,
                note="the clients' own models on the test data of all clients, mean over clients, at the end of the "
                "budget"),
    _at_the_end("reweighted_accuracy", heading="reweighted", shown="report",
                note="the same, every client's own classes weighted as in its training data"),
    _accuracy("hurt", lambda r: r.official.best.get("hurt"), better="lower", shown="report", heading="hurt", digits=1,
              note="percent of the clients whose own model is less accurate than the global model of the same run",
              later=True),
)  # fmt: skip
COSTS = (
    Column("rounds", lambda r: r.rounds, figure=True, **_SHOWN, heading="rounds", note="of communication", digits=0,
           keep=0),
    _cost("bytes_down", **_MEGABYTES, shown="everywhere", heading="MB down", digits=1, keep=7),
    _cost("bytes_up", **_MEGABYTES, shown="everywhere", heading="MB up", digits=1, keep=1),
    _cost("local_steps", **_MEAN, shown="report", heading="local steps", unit="mini-batch gradients", digits=0),
    _asked("asked_visits", heading="asked visits", unit="client visits", shown="everywhere", keep=2,
           note="that clients were asked for, whether they were there or not; the budget counts those that took place"),
    _asked("asked_steps", heading="asked steps", unit="mini-batch gradients", shown="report",
           note="of those who were there, whether they did them or not; local steps are those that they did"),
    _cost("samples", **_MEAN, unit="samples"),
    _cost("adapt_steps", **_SHOWN, heading="adapt steps",
          note="to adapt, before all evaluations together, and to serve novel clients", unit="mini-batch gradients",
          digits=0, when_used=True),
    _cost("forward_samples", **_FORWARD, heading="forward samples",
          note="passed through a model without learning from them, in training"),
    _cost("adapt_forward_samples", **_FORWARD, heading="forward samples, adapting",
          note="passed through a model without learning from them, outside training"),
    _cost("train_seconds", unit="s"),
    _cost("eval_seconds", unit="s"),
    Column("seconds", _seconds, figure=True, **_SHOWN, heading="seconds", note="training and evaluation", unit="s",
           digits=1, better="lower", keep=6, details="own"),
    Column("peak_memory_bytes", lambda r: r.peak_memory_bytes, figure=True, **_MEGABYTES, shown="report",
           heading="peak MB", digits=0, better="lower"),
    Column("state_floats", lambda r: r.state_floats, figure=True, **_SHOWN, heading="state per client",
           note="numbers kept for each client between its visits, wherever they lie", digits=0, better="lower",
           when_used=True),
    Column("shared_floats", lambda r: r.shared_floats, figure=True, **_MEAN),
    Column("client_model_size", lambda r: r.client_model_size, figure=True, unit="parameters"),
)  # fmt: skip
PROVENANCE = (
    Column("config", lambda r: json.dumps(r.config, sort_keys=True), over_seeds="first", details="shared"),
    Column("scenario_hash", lambda r: r.scenario_hash, over_seeds="first"),
    Column("partition_sha256", lambda r: r.partition_sha256, details="shared"),
    Column("data_sha256", lambda r: r.data_sha256, details="shared"),
    Column("method_source_sha256", lambda r: r.method_source_sha256),
    Column("git_commit", lambda r: r.git_commit, details="shared"),
    Column("begun_under", lambda r: json.dumps(list(r.begun_under), sort_keys=True) if r.begun_under else None),
    Column("backend", lambda r: r.backend, details="shared"),
    Column("device", lambda r: r.device, details="shared"),
    Column("precision", lambda r: r.precision, details="shared"),
    Column("python", lambda r: r.versions.get("python"), details="shared"),
    Column("torch", lambda r: r.versions.get("torch"), details="shared"),
    Column("cpu", lambda r: r.hardware.get("cpu"), details="shared"),
    Column("gpu", lambda r: r.hardware.get("gpu"), details="shared"),
    Column("time", lambda r: r.time, details="own"),
)


def scores() -> tuple[Column, ...]:
    """What a run scored: every metric, and the scores that are not metrics of the selected evaluation."""
    return (*(_of_metric(metric) for metric in metrics.METRICS), *SCORES)


def catalogue() -> tuple[Column, ...]:
    """Every column of a run, in the order of ``runs.csv``."""
    return (*RUN, *BUDGET, *scores(), *COSTS, *PROVENANCE)


def later_keys() -> list[str]:
    """Columns that older runs do not have, or most runs: a CSV file has them where a run has something to say."""
    return [column.key for column in catalogue() if column.later]


def keys_of(columns: tuple[Column, ...]) -> list[str]:
    """Their names in the frames."""
    return [column.key for column in columns]


def over_seeds(how: OverSeeds) -> tuple[Column, ...]:
    """The columns that the leaderboard aggregates in this way."""
    return tuple(column for column in catalogue() if column.over_seeds == how)
