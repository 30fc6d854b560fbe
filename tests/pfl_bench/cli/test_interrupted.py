"""Drivers that are killed, interrupted, robbed of their files, or not alone."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pfl_bench.cli.app import run_command_line
from pfl_bench.cli.progress import RunProgress
from pfl_bench.engine.events import RunResult
from pfl_bench.results.frame import read_runs
from tests.pfl_bench.cli.tiny import SUITE, run_tiny


def drive(tiny: str, folder: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "pfl_bench", "run", "--suite", tiny, "--executor", "serial", *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A test run started in the background of a shell ignores Ctrl-C, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


LONGER = SUITE.replace("visits = 20", "visits = 300")
UNTIMED = ["run_id", "accuracy", "worst_decile", "last_accuracy", "bytes_up", "local_steps"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the runs give when nobody disturbs them, as ``runs.csv`` has it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "tiny.toml").write_text(LONGER)
    words = ["run", "--suite", str(folder / "tiny.toml"), "--executor", "serial", "--out", str(folder)]
    assert run_command_line(words) == 0
    return read_runs(folder / "tiny")[UNTIMED]


ENDINGS = {"KILL": (-9, ""), "INT INT": (130, "Interrupted:"), "TERM": (143, "Stopped by SIGTERM:")}


@pytest.mark.parametrize("how", ENDINGS)
def test_killed_and_interrupted_drivers_go_on(cli, tiny, tmp_path, undisturbed, how):
    """After any of these the next run repeats no finished run and ends with the undisturbed leaderboard."""
    Path(tiny).write_text(LONGER)
    ledger = tmp_path / "results" / "tiny" / "runs"
    driver = drive(tiny, tmp_path)
    wait_for(lambda: len(list(ledger.glob("fed*"))) >= 1)
    for name in how.split():
        driver.send_signal(getattr(signal, f"SIG{name}"))
        time.sleep(0.03)
    output, _ = driver.communicate(timeout=60)
    status, said = ENDINGS[how]
    assert driver.returncode == status and said in output and "Traceback" not in output
    if how != "KILL":
        begun = list(ledger.glob("*/checkpoint.bin"))  # of those in lock-step; none if they just ended
        assert f"{len(begun)} more have a checkpoint. The same command goes on from there." in output
        assert all(json.loads((one.parent / "run.json").read_text())["status"] == "unfinished" for one in begun)
    there = [p for p in ledger.glob("fed*") if not (p / "checkpoint.bin").exists()]
    finished = {p.name: (p / "run.json").stat().st_mtime_ns for p in there}
    assert 1 <= len(finished) < 4
    status, _, _ = run_tiny(cli, tiny)
    assert status == 0
    assert all((ledger / name / "run.json").stat().st_mtime_ns == stamp for name, stamp in finished.items())
    assert read_runs(tmp_path / "results" / "tiny")[UNTIMED].equals(undisturbed)


def test_a_signal_while_the_program_is_loaded_is_told_in_one_line(tiny, tmp_path):
    driver = drive(tiny, tmp_path)
    time.sleep(0.3)
    driver.send_signal(signal.SIGTERM)
    output, _ = driver.communicate(timeout=60)
    if driver.returncode != -signal.SIGTERM:  # before Python had loaded a line of ours
        assert driver.returncode == 143 and output.strip() == "Stopped by SIGTERM; the same command starts again"


@pytest.mark.parametrize("what", ["results", "results/tiny", "results/tiny/runs", "one run"])
def test_what_is_deleted_meanwhile_is_missed(cli, tiny, tmp_path, monkeypatch, what):
    """In version 1 the exit status was 0, with runs missing."""
    listen, ended = RunProgress.listen, []

    def delete(self, run, event):
        listen(self, run, event)
        if isinstance(event, RunResult):
            ended.append(run.id)
            if len(ended) == 3:
                shutil.rmtree(tmp_path / (f"results/tiny/runs/{ended[0]}" if what == "one run" else what))

    with monkeypatch.context() as patch:
        patch.setattr(RunProgress, "listen", delete)
        status, out, _ = run_tiny(cli, tiny)
    gone = ended[:1] if what == "one run" else ended[:2]
    assert status == 1 and f"Missing: {', '.join(gone)}: finished, but not in" in out
    status, out, _ = run_tiny(cli, tiny)
    assert status == 0 and f"{4 - len(gone)} of 4 runs were finished before" in out
    assert len(read_runs(tmp_path / "results/tiny")) == 4 and any((tmp_path / "results/tiny/partitions").iterdir())


def test_a_second_driver_shares_the_work_and_takes_over_what_a_killed_one_leaves(cli, tiny, tmp_path):
    """What the first one has, the second one leaves to it; killed, it leaves it to whoever comes next."""
    Path(tiny).write_text(LONGER)
    driver, folder = drive(tiny, tmp_path, "--lockstep", "1"), tmp_path / "results" / "tiny"
    try:
        wait_for(lambda: list(folder.glob(".holds/*")))
        status, out, _ = run_tiny(cli, tiny, "--no-wait", "--lockstep", "1", "--seeds", "0")
        assert status == 0 and (
            "computed by other drivers" in out or "Other drivers are still computing fedavg-s0" in out
        )
        assert "fedper-s0" in out
    finally:
        driver.kill()
        driver.communicate()
    assert run_tiny(cli, tiny, "--lockstep", "1")[0] == 0
    assert len(read_runs(folder)) == 4 and not (folder / ".holds").exists()
