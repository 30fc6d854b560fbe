"""A progress bar over all runs of a request: client visits done, rate and time remaining."""

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ..events import Checkpoint, Event, RunResult
from ..events import Progress as VisitProgress
from ..job import Failure
from ..ledger import Ledger
from ..runspec import RunSpec


class _Rate(ProgressColumn):
    """Client visits per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("- visits/s" if speed is None else f"{speed:.1f} visits/s")


class RunProgress:
    """Listens to the runs' events; one line on a terminal, a line per finished run elsewhere."""

    def __init__(self, console: Console, runs: Sequence[RunSpec], ledger: Ledger) -> None:
        self.console = console
        self.total = len(runs)
        self.done = {run.id: 0 for run in runs}
        self.budget = {run.id: run.scenario.visits for run in runs}
        self.ended = 0
        self.latest = "starting"
        self.reusable = {run.id for run in runs if ledger.is_final(run.id)}
        self.bar = Progress(
            TextColumn("{task.fields[runs]} runs"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("visits"),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[latest]}"),
            console=console,
            speed_estimate_period=60,
        )
        work = sum(visits for run, visits in self.budget.items() if run not in self.reusable)
        self.task = self.bar.add_task("runs", total=work, runs=self._counter(), latest=self.latest)

    def _counter(self) -> str:
        return f"{self.ended + len(self.reusable)}/{self.total}"

    def __enter__(self) -> "RunProgress":
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self.bar.stop()

    def listen(self, run: RunSpec, event: Event | Failure) -> None:
        """Advance the bar by what happened to a run."""
        latest = None
        if isinstance(event, Checkpoint):
            return
        if isinstance(event, VisitProgress):
            self.done[run.id] = event.visits
            if event.accuracy is not None:
                latest = f"{run.method} seed {run.seed}: {event.accuracy:.1f} % on validation"
        else:
            self.done[run.id] = self.budget[run.id]
            self.ended += 1
            status = event.status if isinstance(event, RunResult) else "failed"
            if not self.console.is_terminal:
                self.console.print(f"[{self._counter()}] {run.id} on {run.scenario.id}: {status}", markup=False)
        self.latest = latest or self.latest
        done = sum(visits for run_id, visits in self.done.items() if run_id not in self.reusable)
        self.bar.update(self.task, completed=done, runs=self._counter(), latest=self.latest)
