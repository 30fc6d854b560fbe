"""How far the runs of a request are: live bars on a terminal and in a notebook, elsewhere lines that a log can keep."""

import importlib.util
import threading
import time
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
from pfl_bench.running.reuse import Standing
from pfl_bench.spec.run import RunSpec
from pfl_bench.text import counted

from .terminal import say

LINE_SECONDS = 60.0
"""How often a line says how far it is, where there are no bars."""


class _Rate(ProgressColumn):
    """Client visits per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} visits/s")


def has_bars(console: Console) -> bool:
    """Whether a console can show something that changes: a terminal, or a notebook with its widgets."""
    moves = console.is_terminal and not console.is_dumb_terminal
    return moves or (console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None)


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 20 min``."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class RunProgress:
    """Listens to the runs' events. ``results``: ids of the runs that got their result."""

    def __init__(self, console: Console, runs: Sequence[RunSpec], reused: set[str]) -> None:
        self.console, self.live = console, has_bars(console)
        self.total = len(runs)
        self.ended = 0
        self.results: set[str] = set()
        self.reused = reused
        self.budget = {run.id: run.scenario.visits for run in runs if run.id not in self.reused}
        self.done = dict.fromkeys(self.budget, 0)
        self.first: dict[str, int] = {}  # visits that a resumed run had when it began here
        self.began = time.monotonic()
        self.over = threading.Event()
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
        self.began = time.monotonic()
        if self.live:
            self.bar.start()
        elif self.budget:
            threading.Thread(target=self._lines, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        if self.live:
            with suppress(OSError):  # after SIGHUP there is no terminal any more
                self.bar.stop()

    def _lines(self) -> None:
        while not self.over.wait(LINE_SECONDS):
            with suppress(OSError):
                say(self.console, f"[{self._counter()}] {self.pace()}")

    def pace(self) -> str:
        """How many of the visits are done, how fast, and how long the rest will take at that rate."""
        done, asked = sum(self.done.values()), sum(self.budget.values())
        own = done - sum(self.first.values())
        rate = own / max(time.monotonic() - self.began, 1e-9)
        told = f"{done} of {counted(asked, 'client visit')}"
        if not own or done == asked:
            return told
        return f"{told}, {rate:.1f} per second, about {duration((asked - done) / rate)} left"

    def listen(self, run: RunSpec, event: Event) -> None:
        """Advance by what happened to a run."""
        if isinstance(event, Checkpoint):
            return
        if isinstance(event, VisitProgress):
            self.first.setdefault(run.id, 0 if event.costs else event.visits)  # a resumed run begins with no costs
            self.done[run.id] = event.visits
            if event.accuracy is not None:
                latest = f"seed {run.seed}: {event.accuracy:.1f} % on validation"
                self.bar.update(self.tasks[run.method], latest=latest)
        else:
            self.done[run.id] = self.budget.get(run.id, 0)
            self.ended += 1
            if isinstance(event, RunResult):
                self.results.add(run.id)
            status = event.status if isinstance(event, RunResult) else "failed"
            if not self.live:
                say(self.console, f"[{self._counter()}] {run.id} on {run.scenario.id}: {status}; {self.pace()}")
        own = self._sum(self.done, self.methods[run.method])
        self.bar.update(self.tasks[run.method], completed=own)
        self.bar.update(self.whole, completed=sum(self.done.values()), description=self._counter())


def watch_runs(runs: Sequence[RunSpec], standing: Standing) -> RunProgress:
    """Show how far runs are, wherever this is: a terminal, a notebook or a log."""
    return RunProgress(Console(), runs, set(standing.reused))
