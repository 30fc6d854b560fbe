"""The live view of a request: a bar for all runs, and one per method with its latest validation accuracy."""

from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from pfl_bench.engine.events import Checkpoint, Event, RunResult
from pfl_bench.engine.events import Progress as VisitProgress
from pfl_bench.spec.run import RunSpec


class _Rate(ProgressColumn):
    """Client visits per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} visits/s")


class RunProgress:
    """Listens to the runs' events; live bars on a terminal, a line per finished run elsewhere."""

    def __init__(self, console: Console, runs: Sequence[RunSpec], reused: set[str]) -> None:
        self.console = console
        self.total = len(runs)
        self.ended = 0
        self.reused = reused
        self.budget = {run.id: run.scenario.visits for run in runs if run.id not in self.reused}
        self.done = dict.fromkeys(self.budget, 0)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(table_column=Column(justify="right")),
            TextColumn("visits"),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[latest]}"),
            console=console,
            speed_estimate_period=60,
        )
        self.methods = {run.method: [r.id for r in runs if r.method == run.method] for run in runs}
        self.whole = self.bar.add_task(self._counter(), total=sum(self.budget.values()), latest="")
        self.tasks = {
            method: self.bar.add_task(escape(method), total=self._sum(self.budget, ids), latest="waiting")
            for method, ids in self.methods.items()
        }
        for method, ids in self.methods.items():
            if self.reused.issuperset(ids):
                self.bar.update(self.tasks[method], visible=False)

    def _counter(self) -> str:
        return f"{self.ended + len(self.reused)}/{self.total} runs"

    @staticmethod
    def _sum(visits: dict[str, int], ids: Sequence[str]) -> int:
        return sum(visits.get(run_id, 0) for run_id in ids)

    def __enter__(self) -> "RunProgress":
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            with suppress(OSError):  # after SIGHUP there is no terminal any more
                self.bar.stop()

    def listen(self, run: RunSpec, event: Event) -> None:
        """Advance the bars by what happened to a run."""
        if isinstance(event, Checkpoint):
            return
        if isinstance(event, VisitProgress):
            self.done[run.id] = event.visits
            if event.accuracy is not None:
                latest = f"seed {run.seed}: {event.accuracy:.1f} % on validation"
                self.bar.update(self.tasks[run.method], latest=latest)
        else:
            self.done[run.id] = self.budget.get(run.id, 0)
            self.ended += 1
            status = event.status if isinstance(event, RunResult) else "failed"
            if not self.console.is_terminal:
                self.console.print(f"[{self._counter()}] {run.id} on {run.scenario.id}: {status}", markup=False)
        own = self._sum(self.done, self.methods[run.method])
        self.bar.update(self.tasks[run.method], completed=own)
        self.bar.update(self.whole, completed=sum(self.done.values()), description=self._counter())
