"""Asked to stop, a run ends with a checkpoint, and from there comes to the same result."""

import signal

import pytest

from pfl_bench.engine import stop
from pfl_bench.engine.events import Checkpoint, RunResult
from pfl_bench.running.executors.serial import SerialExecutor
from pfl_bench.running.job import make_job
from pfl_bench.spec.options import Options
from pfl_bench.testing.kit import fingerprint
from pfl_bench.testing.setup import tiny_setup


@pytest.fixture(autouse=True)
def forgotten():
    yield
    stop.forget()


def test_a_run_that_is_stopped_goes_on_to_the_same_result():
    setup = tiny_setup()
    job = make_job(setup.spec("pfedhn"), setup.partition, Options())

    def events_of(jobs):
        return list(SerialExecutor().execute(jobs, {setup.scenario.dataset: setup.dataset}))

    *_, (_, whole) = events_of([job])
    stop.ask()
    assert events_of([job]) == [], "nothing more is started"
    stop.forget()
    updates = SerialExecutor().execute([job, job], {setup.scenario.dataset: setup.dataset})
    position, _ = next(updates)
    stop.ask(signal.SIGTERM)
    *_, (_, last) = rest = list(updates)
    assert isinstance(last, Checkpoint) and {position, *(p for p, _ in rest)} == {0}
    with pytest.raises(stop.Stopped) as told:
        stop.raise_if_asked()
    assert stop.exit_status(told.value) == 143 and stop.name_of(told.value) == "Stopped by SIGTERM"
    stop.forget()
    stop.raise_if_asked()
    *_, (_, resumed) = events_of([job.going_on_from(last.data)])
    assert isinstance(resumed, RunResult) and fingerprint(resumed) == fingerprint(whole)


def test_what_a_shell_expects():
    assert stop.exit_status(KeyboardInterrupt()) == 130 and stop.name_of(KeyboardInterrupt()) == "Interrupted"
    assert stop.exit_status(stop.Stopped(signal.SIGHUP)) == 129
