"""Whatever a plug-in does to its process, its run fails in one line, and the others run to the same numbers."""

import csv
import signal
import time

import pytest

from pfl_bench.engine.events import Checkpoint, Failure, Progress, RunResult
from pfl_bench.engine.stop import ask, forget
from pfl_bench.registry import load_plugin, read_plugin
from pfl_bench.running.executors.own_process import run_in_own_process
from pfl_bench.running.executors.serial import SerialExecutor
from pfl_bench.running.guard import guarded
from pfl_bench.running.job import make_job
from pfl_bench.spec.options import Options
from pfl_bench.testing.kit import fingerprint
from pfl_bench.testing.setup import tiny_setup
from tests.conftest import PLUGINS
from tests.pfl_bench.cli.tiny import SUITE

SETUP = tiny_setup()

OUTCOMES = {
    "none": "",
    "exit": "SystemExit (harmful.py, line",
    "os_exit": "harmful: its process ended with exit status 0 before the run was over",
    "segfault": "harmful: its process was ended by SIGSEGV",
    "interrupt": "KeyboardInterrupt (harmful.py, line",
    "wordless": "WordlessError: (its text cannot be had)",
    "long": "ValueError: xxx",
    "stdout": "",
    "thread": "",
    "child": "",
    "dtype": "harmful changed torch's default type, which other runs depend on",
    "images": "harmful wrote into train inputs",
    "parent": "harmful: its process ended with exit status 255",
}


@pytest.fixture
def plugin():
    plugin = read_plugin(PLUGINS / "harmful.py")
    load_plugin(plugin)
    return plugin


def job_of(plugin, method="harmful", options=None, **config):
    return make_job(SETUP.spec(method, **config), SETUP.partition, options or Options(), (plugin,))


def test_a_run_in_its_own_process_leaves_a_checkpoint_when_this_one_is_asked_to_stop(plugin):
    setup = SETUP.but(visits=3000)
    job = make_job(setup.spec("harmful", deed="none"), setup.partition, Options(), (plugin,))
    assert job.brings_code
    updates = SerialExecutor().execute([job, job], {setup.scenario.dataset: setup.dataset})
    try:
        next(updates)
        ask(signal.SIGTERM)
        rest = list(updates)
    finally:
        forget()
    assert {position for position, _ in rest} == {0}, "the second is not started"
    assert isinstance(rest[-1][1], Checkpoint) and not any(isinstance(e, RunResult | Failure) for _, e in rest)


def test_every_harm_is_its_own_run_s_only(plugin):
    jobs = [job_of(plugin, "fedavg"), *(job_of(plugin, deed=deed) for deed in OUTCOMES), job_of(plugin, "fedavg")]
    ended = {}
    for position, event in SerialExecutor().execute(jobs, {SETUP.scenario.dataset: SETUP.dataset}):
        if isinstance(event, RunResult | Failure):
            assert position not in ended
            ended[position] = event
    undisturbed = fingerprint(ended[0])
    assert fingerprint(ended[len(jobs) - 1]) == undisturbed
    for (deed, expected), event in zip(OUTCOMES.items(), [ended[k] for k in range(1, len(jobs) - 1)], strict=True):
        if not expected:
            assert fingerprint(event) == undisturbed, f"{deed}: bit for bit what it is in this process"
            continue
        if deed == "parent" and isinstance(event, RunResult):  # it was through before its parent's end was seen
            assert fingerprint(event) == undisturbed
            continue
        assert isinstance(event, Failure), deed
        assert expected in event.reason and len(event.reason) < 500 and "\n" not in event.reason, deed
        assert len(event.details) <= 100_000
    assert "harmful.py" in ended[1 + list(OUTCOMES).index("segfault")].details, "where it crashed is kept"


def test_progress_and_checkpoints_are_streamed_and_gone_on_from(plugin):
    job = job_of(plugin, options=Options(checkpoint_seconds=0))
    events = list(run_in_own_process(job, SETUP.dataset))
    here = list(guarded(job, SETUP.dataset))
    assert [type(event) for event in events] == [type(event) for event in here]
    assert {type(event) for event in events} == {Progress, Checkpoint, RunResult}
    checkpoint = next(event for event in events if isinstance(event, Checkpoint))
    resumed = list(run_in_own_process(job.going_on_from(checkpoint.data), SETUP.dataset))
    assert fingerprint(resumed[-1]) == fingerprint(here[-1])


WITH_ENUM = '''
from enum import Enum
from pydantic import Field
from pfl_bench.api import register_method
from pfl_bench.methods.fedavg import FedAvg

class Kind(Enum):
    slow = "slow"
    fast = "fast"

@register_method("enumerated", paper="none", family="averaging")
class Enumerated(FedAvg):
    """FedAvg with a choice that nothing reads."""

    class Config(FedAvg.Config):
        """A choice by name."""

        kind: Kind = Field(Kind.slow, description="of two")
'''


def test_an_enumeration_of_a_plug_in_travels_by_its_value(tmp_path):
    (tmp_path / "enumerated.py").write_text(WITH_ENUM)
    plugin = read_plugin(tmp_path / "enumerated.py")
    load_plugin(plugin)
    job = job_of(plugin, "enumerated", kind="fast")
    assert job.config["kind"] == "fast"
    assert isinstance(list(run_in_own_process(job, SETUP.dataset))[-1], RunResult)


def test_one_that_hangs_ends_when_its_events_are_no_longer_wanted(plugin):
    """As on Ctrl-C, which raises in the driver."""
    events = run_in_own_process(job_of(plugin, deed="hangs", options=Options(checkpoint_seconds=0)), SETUP.dataset)
    assert any(isinstance(event, Checkpoint) for event in events), "the first round's"
    before = time.monotonic()
    events.close()
    assert time.monotonic() - before < 5


@pytest.mark.parametrize("how", [(), ("--in-process",)])
def test_exit_in_a_plug_in_is_status_1_and_the_other_runs_are_there(cli, tmp_path, how):
    (tmp_path / "tiny.toml").write_text(SUITE)
    status, out, _ = cli(
        "run", "--suite", "tiny.toml", "--executor", "serial", "--methods", "harmful,fedavg", "--seeds", "0",
        "--plugin", str(PLUGINS / "harmful.py"), "--set", "harmful.deed=exit", *how,
    )  # fmt: skip
    assert status == 1
    assert "Failed: harmful-s0-" in out and "SystemExit" in out
    rows = csv.DictReader((tmp_path / "results" / "tiny" / "runs.csv").open())
    assert {row["method"]: row["status"] for row in rows} == {"harmful": "failed", "fedavg": "finished"}
