"""Several drivers on one folder: every run once, and what one leaves another one takes over."""

import multiprocessing
import signal

import pytest

from pfl_bench.engine.events import RunResult
from pfl_bench.results.ledger import Ledger
from pfl_bench.running import turns
from pfl_bench.running.executors.serial import SerialExecutor
from pfl_bench.running.reuse import review
from pfl_bench.running.runner import execute, make_plan
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import plan_runs
from pfl_bench.spec.suite import parse_suite

SUITE = """
name = "shared"
[[scenario]]
id = "shared-v1"
dataset = "synthetic:classes=3,n=120"
partition = { rule = "iid" }
clients = 4
model = "mlp"
visits = 8
local_steps = 2
batch_size = 8
eval_every = 4
"""


def plan_for(folder, seeds=3):
    suite = parse_suite(SUITE, "s.toml")
    return make_plan("shared", plan_runs(["fedavg"], suite.scenarios, range(seeds), suite, {}), folder, Options())


def nothing(run, event):
    pass


class InTheMiddle(SerialExecutor):
    """Lets another driver work when the first run has begun."""

    def __init__(self, between):
        object.__setattr__(self, "between", between)
        object.__setattr__(self, "apart", True)

    def execute(self, jobs, datasets, take):
        for position, event in super().execute(jobs, datasets, take):
            if position == 0 and isinstance(event, RunResult):
                self.between()
            yield position, event


def test_two_drivers_compute_every_run_once(tmp_path):
    plan, ledger, other = plan_for(tmp_path), Ledger(tmp_path / "r"), Ledger(tmp_path / "r")
    heard, found = [], []

    def between():
        found.append(execute(plan, other, SerialExecutor(), lambda run, event: heard.append(run.id), wait=False))

    outcome = execute(plan, ledger, InTheMiddle(between), nothing)
    ids = [run.id for run in plan.runs]
    assert outcome.finished == ids[:1] and sorted(outcome.elsewhere) == sorted(ids[1:]) and not outcome.held
    (theirs,) = found
    assert theirs.held == ids[:1] and sorted(theirs.finished) == sorted(ids[1:]) and ids[0] not in heard
    assert all(ledger.is_final(run_id) for run_id in ids) and not (ledger.folder / ".holds").exists()


def test_who_repeats_all_does_not_repeat_what_another_one_has_just_repeated(tmp_path):
    plan, ledger, other = plan_for(tmp_path, seeds=2), Ledger(tmp_path / "r"), Ledger(tmp_path / "r")
    execute(plan, ledger, SerialExecutor(), nothing)
    stamps = {run.id: ledger.stamp(run.id) for run in plan.runs}

    def fresh(of):
        return review(plan.runs, plan.bases, of, fresh=True)

    def between():
        execute(plan, other, SerialExecutor(), nothing, fresh(other), wait=False)

    outcome = execute(plan, ledger, InTheMiddle(between), nothing, fresh(ledger))
    first, second = (run.id for run in plan.runs)
    assert (outcome.finished, outcome.elsewhere) == ([first], [second])
    assert all(ledger.stamp(run_id) != stamp for run_id, stamp in stamps.items())


def _keep(folder, run_id, ready):
    assert Ledger(folder).take(run_id)
    ready.set()
    signal.pause()


def test_a_run_whose_driver_is_killed_is_taken_over(tmp_path, monkeypatch):
    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.01)
    plan, ledger = plan_for(tmp_path, seeds=2), Ledger(tmp_path / "r")
    context = multiprocessing.get_context("spawn")
    ready, first = context.Event(), plan.runs[0].id
    driver = context.Process(target=_keep, args=(ledger.folder, first, ready))
    driver.start()
    assert ready.wait(60)

    def listen(run, event):
        if isinstance(event, RunResult) and run.id != first:
            driver.kill()
            driver.join()

    outcome = execute(plan, ledger, SerialExecutor(), listen)
    assert sorted(outcome.finished) == sorted(run.id for run in plan.runs)


def test_waiting_for_others_ends_when_somebody_asks(tmp_path, monkeypatch):
    from pfl_bench.engine import stop

    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.01)
    plan, ledger, other = plan_for(tmp_path, seeds=1), Ledger(tmp_path / "r"), Ledger(tmp_path / "r")
    assert other.take(plan.runs[0].id)
    monkeypatch.setattr(turns.time, "sleep", lambda seconds: stop.ask(signal.SIGTERM))
    try:
        with pytest.raises(stop.Stopped):
            execute(plan, ledger, SerialExecutor(), nothing)
    finally:
        stop.forget()
        other.give_all_back()


def test_who_reuses_a_run_leaves_alone_what_another_one_computes_anew(tmp_path, monkeypatch):
    plan, ledger, other = plan_for(tmp_path, seeds=1), Ledger(tmp_path / "r"), Ledger(tmp_path / "r")
    execute(plan, ledger, SerialExecutor(), nothing)
    (run,), forgotten = plan.runs, []
    monkeypatch.setattr(Ledger, "forget_begun", lambda self, run_id: forgotten.append(run_id))
    assert ledger.take(run.id)
    assert execute(plan, other, SerialExecutor(), nothing).reused == [run.id] and not forgotten
    ledger.give_back(run.id)
    assert execute(plan, other, SerialExecutor(), nothing).reused == [run.id] and forgotten == [run.id]
