"""How far runs are, where nobody looks at bars."""

import io
import time

import pytest
from rich.console import Console

from pfl_bench.cli import progress
from pfl_bench.engine.events import Failure, Progress, RunResult
from pfl_bench.testing.setup import tiny_setup


@pytest.fixture
def runs():
    setup = tiny_setup()
    return [setup.spec("fedavg"), setup.spec("local")]


def watched(runs, reused=()):
    text = io.StringIO()
    return progress.RunProgress(Console(file=text, width=200), runs, set(reused)), text


def test_a_line_per_finished_run_with_rate_and_remaining_time(runs, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    told, text = watched(runs)
    with told:
        now[0] += 2
        told.listen(runs[0], Progress(12, 50.0, {"local_steps": 1}))
        told.listen(runs[0], RunResult("finished"))
        told.listen(runs[1], Failure("no", "no"))
    first, second = text.getvalue().splitlines()
    assert first == (
        f"[1/2 runs] {runs[0].id} on tiny-v1: finished; 12 of 24 client visits, 6.0 per second, about 2 s left"
    )
    assert second.endswith("failed; 24 of 24 client visits") and told.results == {runs[0].id}


def test_what_a_resumed_run_had_done_before_does_not_count_for_its_rate(runs, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    told, _ = watched(runs, [runs[1].id])
    with told:
        told.listen(runs[0], Progress(6, None))
        now[0] = 3.0
        told.listen(runs[0], Progress(9, 50.0, {"local_steps": 1}))
        assert told.pace() == "9 of 12 client visits, 1.0 per second, about 3 s left"


def test_a_line_now_and_then(runs, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.01)
    told, text = watched(runs)
    with told:
        until = time.monotonic() + 20
        while not text.getvalue() and time.monotonic() < until:
            time.sleep(0.01)
    assert text.getvalue().startswith("[0/2 runs] 0 of 24 client visits\n")


@pytest.mark.parametrize(("seconds", "said"), [(3, "3 s"), (600, "10 min"), (12_000, "3 h 20 min")])
def test_durations(seconds, said):
    assert progress.duration(seconds) == said


def test_a_notebook_without_widgets_gets_lines(monkeypatch):
    console = Console(file=io.StringIO(), force_jupyter=True)
    monkeypatch.setattr(progress.importlib.util, "find_spec", lambda name: None)
    assert not progress.has_bars(console)
    monkeypatch.setattr(progress.importlib.util, "find_spec", lambda name: object())
    assert progress.has_bars(console)


def test_a_dumb_terminal_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert not progress.has_bars(Console(file=io.StringIO(), force_terminal=True))
    monkeypatch.setenv("TERM", "xterm")
    assert progress.has_bars(Console(file=io.StringIO(), force_terminal=True))
