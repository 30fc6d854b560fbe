"""The command that tunes, as a program of its own."""

import signal
import subprocess
import sys

import pandas as pd
import pytest

from pfl_bench.cli.app import run_command_line
from pfl_bench.spec.suite import parse_suite
from tests.pfl_bench.running.tuning.test_trials import SUITE


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(SUITE)
    return path


def tune(suite, *more):
    return [
        "tune",
        str(suite),
        "--methods",
        "fedavg",
        "--seeds",
        "1000",
        "--out",
        str(suite.parent),
        "--executor",
        "serial",
        *more,
    ]


def test_the_choices_are_printed_as_toml(suite, capsys):
    assert run_command_line(tune(suite, "--trials", "3")) == 0
    lines = capsys.readouterr().out.splitlines()
    head = lines.index("[hyperparameters]  # tiny-v1, validation accuracy at seeds 1000")
    assert lines[head + 1].startswith("fedavg = { lr = ") and lines[-1].startswith("Written: ")
    folder = suite.parent / "tiny-tuning"
    pasted = parse_suite(SUITE + (folder / "tuned.toml").read_text(), "pasted")
    assert pasted.hyperparameters["fedavg"].keys() == {"lr"} and (folder / "tuning.csv").is_file()


def test_a_grid_that_is_widened_is_said_with_its_runs(suite, capsys):
    """In four visits a rate of 1e-9 learns nothing, so the other end of the grid is the best."""
    assert run_command_line(tune(suite, "--trials", "3")) == 0
    trials = pd.read_csv(suite.parent / "tiny-tuning" / "tuning.csv")
    said = capsys.readouterr().out
    assert len(trials) == 4 and said.count("Best at the edge of a grid, which is widened: 1 more run.") == 1


def test_scenarios_for_which_nothing_was_chosen_are_named(suite, capsys):
    scenario = SUITE[SUITE.index("[[scenario]]") : SUITE.index("[search_space]")]
    suite.write_text(SUITE + scenario.replace("tiny-v1", "other-v1"))
    assert run_command_line(tune(suite, "--trials", "1", "--budget-scale", "0.5")) == 0
    assert "Nothing was chosen for other-v1: --scenarios 'GLOB'" in capsys.readouterr().out
    assert run_command_line(tune(suite, "--trials", "1", "--scenarios", "*")) == 0
    assert "Nothing was chosen" not in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signals here")
def test_a_signal_says_how_to_go_on_and_the_same_command_does(suite, tmp_path):
    suite.write_text(SUITE.replace("visits = 4\n", "visits = 200000\n"))
    words = [sys.executable, "-m", "pfl_bench", *tune(suite, "--trials", "1")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as going:
        # the ledger keeps the partition when the trials begin
        while going.poll() is None and not list(tmp_path.glob("tiny-tuning/partitions/*.csv")):
            try:
                going.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        going.send_signal(signal.SIGTERM)
        out, err = going.communicate(timeout=60)
    assert going.returncode == 143, out + err
    assert "SIGTERM: what ended is kept in" in out and "the same command goes on from there" in out
    assert not (tmp_path / "tiny-tuning" / "tuning.csv").exists()
    assert list(tmp_path.glob("tiny-tuning/runs/*/checkpoint*")) or "Stopping" not in err


def test_several_suites_are_printed_one_after_another_and_refusals_come_before_notes(suite, capsys, monkeypatch):
    (suite.parent / "second.toml").write_text(SUITE.replace('"tiny"', '"second"'))
    words = tune(suite, "--trials", "1", "--methods", "fedavg,fedbn")
    words.insert(2, str(suite.parent / "second.toml"))
    assert run_command_line(words) == 0
    out = capsys.readouterr().out
    assert out.index("# For the suite tiny:") < out.index("# For the suite second:") and out.count("Written: ") == 2
    monkeypatch.setitem(sys.modules, "ray", None)  # which would be noted
    words = ["tune", str(suite), "--methods", "fedavg", "--trials", "1", "--out", "/proc/none"]
    assert run_command_line(words) == 2 and capsys.readouterr().out == ""


def test_a_trial_that_fails_is_said_and_is_no_success(suite, monkeypatch, capsys):
    from pfl_bench.engine.events import Failure
    from pfl_bench.running.executors.serial import SerialExecutor

    monkeypatch.setattr(
        SerialExecutor,
        "execute",
        lambda self, jobs, data, *take: ((n, Failure("OSError: disk", "trace")) for n in range(len(jobs))),
    )
    assert run_command_line(tune(suite, "--trials", "2")) == 1
    out = capsys.readouterr().out
    assert "# fedavg: no point of its grid was finished, with a score, at every seed" in out
    assert out.count("Failed: fedavg-s1000-") == 2 and "OSError: disk" in out
