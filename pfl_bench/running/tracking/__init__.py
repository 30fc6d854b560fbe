"""Run trackers that people already use: optional, off by default, fed by the driver. None needs an account.

The ledger stays the truth; a tracker that fails is switched off with a warning, and no run is lost to it.
"""

import importlib
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pfl_bench.engine.events import Event, Failure, Progress, RunResult
from pfl_bench.errors import RequestError, one_line, unknown
from pfl_bench.spec.run import RunSpec


class Tracker(Protocol):
    """What a tracker is told. Steps are client visits; accuracies are percent."""

    def start(self, run: RunSpec) -> None:
        """A run is about to report something for the first time."""

    def log(self, run: RunSpec, visits: int, metrics: Mapping[str, float]) -> None:
        """Figures of a run after so many client visits."""

    def end(self, run: RunSpec, status: str) -> None:
        """A run is over: finished, diverged, skipped or failed."""

    def close(self) -> None:
        """Nothing more will come."""


TRACKERS: Mapping[str, tuple[str, str]] = {
    "tensorboard": ("tensorboard", "TensorBoard"),
    "mlflow": ("mlflow", "MLflow"),
}
"""Module in this package and its tracker class, called with the folder to write to."""


class Tracking:
    """Hands a request's events on to its trackers."""

    def __init__(self, trackers: Mapping[str, Tracker]) -> None:
        self._trackers = dict(trackers)
        self._started: set[str] = set()

    @classmethod
    def open(cls, names: Sequence[str], folder: Path) -> "Tracking":
        """Trackers by name, writing below ``folder``. RequestError for an unknown one or a missing package."""
        for name in names:
            if name not in TRACKERS:
                raise unknown("tracker", name, TRACKERS)
        os.environ.setdefault(
            "MLFLOW_DISABLE_TELEMETRY", "true"
        )  # read when it is imported; the user's own word stands
        found = {}
        for name in dict.fromkeys(names):
            module, tracker = TRACKERS[name]
            try:
                found[name] = getattr(importlib.import_module(f".{module}", __name__), tracker)(folder / name)
            except ImportError as error:
                raise RequestError(
                    f"tracker {name!r} needs packages that are not installed ({one_line(error)}): "
                    f"pip install 'pfl-bench[{name}]'"
                ) from error
        return cls(found)

    def listen(self, run: RunSpec, event: Event) -> None:
        """Hand an event of a run on."""
        if isinstance(event, Progress):
            if event.accuracy is not None:
                costs = {name: float(value) for name, value in event.costs.items()}
                what = f"validation {run.scenario.primary.replace('_', ' ')}"
                self._log(run, event.visits, {what: event.accuracy, **costs})
        elif isinstance(event, RunResult):
            best = event.summary.get(str(event.facts.get("official_moment")), {}).get("best")
            if best:
                names = dict.fromkeys(("accuracy", "worst_decile", "client_std", run.scenario.primary))
                figures = {name: float(best[name]) for name in names}
                self._log(run, best["visits"], {f"test {name}": value for name, value in figures.items()})
            self._end(run, event.status)
        elif isinstance(event, Failure):
            self._end(run, "failed")

    def close(self) -> None:
        """Close all trackers."""
        for name in list(self._trackers):
            self._tell(name, "close")

    def _log(self, run: RunSpec, visits: int, metrics: Mapping[str, float]) -> None:
        for name in list(self._trackers):
            if run.id not in self._started:
                self._tell(name, "start", run)
            self._tell(name, "log", run, visits, metrics)
        self._started.add(run.id)

    def _end(self, run: RunSpec, status: str) -> None:
        for name in list(self._trackers):
            if run.id in self._started:
                self._tell(name, "end", run, status)
        self._started.discard(run.id)

    def _tell(self, name: str, what: str, *arguments: object) -> None:
        tracker = self._trackers.get(name)
        if tracker is None:
            return
        try:
            getattr(tracker, what)(*arguments)
        except Exception as error:
            del self._trackers[name]
            warnings.warn(f"tracker {name!r} is switched off: {one_line(error)}", stacklevel=2)
