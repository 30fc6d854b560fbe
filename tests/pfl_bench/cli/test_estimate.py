"""What a request would take, before anything starts."""

import re

import pytest

from tests.pfl_bench.cli.tiny import SUITE


def test_runs_hours_and_gigabytes_and_nothing_is_written(cli, tmp_path):
    (tmp_path / "s.toml").write_text(SUITE)
    words = ("--suite", "s.toml", "--executor", "serial")
    for command in (("estimate", *words), ("run", "--dry-run", *words)):
        status, out, _ = cli(*command)
        assert status == 0 and "Measuring 2 kinds of runs, 6 s or, where rounds are long, some 24 s." in out
        assert "4 runs to compute: about " in out and "1 at a time" in out and " GB per run; disk: about " in out
    assert [path.name for path in tmp_path.iterdir()] == ["s.toml"]
    cli("run", *words, "--methods", "fedavg")
    assert "2 runs to compute, 2 are finished" in cli("estimate", *words)[1]
    cli("run", *words)
    assert "Nothing to compute: all of 4 runs are finished." in cli("estimate", *words)[1]


def test_what_cannot_be_measured_is_said(cli, tmp_path):
    (tmp_path / "s.toml").write_text(SUITE)
    (tmp_path / "bad.py").write_text(
        "from pfl_bench.api import register_method\nfrom pfl_bench.methods.fedavg import FedAvg\n"
        "@register_method('bad', paper='none')\nclass Bad(FedAvg):\n"
        "    def round(self, fed, state, cohort):\n        raise ValueError('no luck')\n"
    )
    words = ("--suite", "s.toml", "--executor", "serial", "--methods", "bad", "--plugin", "bad.py")
    status, out, _ = cli("estimate", *words)
    assert status == 1 and "Not measured: bad on synthetic-classes2-n6-v1: " in out and "no luck" in out


@pytest.mark.parametrize("least", [1, 5])
def test_a_round_that_takes_long_is_not_waited_for(cli, tmp_path, monkeypatch, least):
    monkeypatch.setattr("pfl_bench.actions.estimate.SECONDS", 0.3)
    suite = SUITE.replace("local_steps = ", "local_steps = 60  # ")
    assert suite != SUITE
    (tmp_path / "s.toml").write_text(suite)
    (tmp_path / "slow.py").write_text(
        "import time\nfrom pfl_bench.api import RequestError, register_method\n"
        "from pfl_bench.methods.fedavg import FedAvg\n"
        "@register_method('slow', paper='none')\nclass Slow(FedAvg):\n"
        "    def round(self, fed, state, cohort):\n        assert fed.local_steps < 60\n"
        f"        if fed.local_steps < {least}:\n            raise RequestError('more steps')\n"
        "        time.sleep(0.05 * fed.local_steps)\n        return super().round(fed, state, cohort)\n"
    )
    words = ("--suite", "s.toml", "--executor", "serial", "--methods", "slow", "--plugin", "slow.py")
    status, out, _ = cli("estimate", *words)
    seconds = re.search(r"slow +2 +(\d+) s", out)  # four rounds of 3 s, and what the training takes
    assert status == 0 and seconds is not None, out
    assert 6 <= int(seconds[1]) <= 36
