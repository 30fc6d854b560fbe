"""Where a run or a check failed: the file of its traceback, and the debugger."""

import io
import re
import sys
from pathlib import Path

import pytest

import pfl_bench as pfl
from pfl_bench.cli.check import _kept
from pfl_bench.registry import METHODS
from tests.conftest import PLUGINS
from tests.pfl_bench.cli.tiny import SUITE


@pytest.fixture
def mine(tmp_path):
    """A method that goes wrong in its round; with the number of that line."""
    text = (PLUGINS / "fedmedian.py").read_text().replace("fedmedian", "mine")
    path = tmp_path / "mine.py"
    path.write_text(text.replace("trained.params)", "trained.params).mean()"))
    return path, next(n for n, line in enumerate(path.read_text().splitlines(), 1) if ".mean()" in line)


def test_every_run_of_a_company_in_lock_step_says_where_its_traceback_is(cli, tmp_path, monkeypatch):
    def wrong(self, fed, state, cohort):
        raise RuntimeError("it is not my day")

    (tmp_path / "tiny.toml").write_text(SUITE)
    monkeypatch.setattr(METHODS.get("fedper"), "round", wrong)
    status, out, _ = cli("run", "--suite", "tiny.toml", "--executor", "serial", "--methods", "fedper")
    paths = re.findall(r"its traceback: (\S+error\.txt)", out)
    assert status == 1 and len(paths) == 2 and all("in wrong\n" in Path(path).read_text() for path in paths)
    failed = pfl.load("results/tiny").failed
    assert sorted(said.partition("; its traceback: ")[2] for said in failed.values()) == sorted(paths)


def debug(monkeypatch, cli, words: str, *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "stdin", io.StringIO(words))
    status, out, _ = cli("check", "--pdb", *arguments)
    return status, out


def test_the_debugger_is_where_the_method_failed(cli, mine, monkeypatch):
    path, line = mine
    status, out = debug(monkeypatch, cli, "p list(cohort)\nq\n", "mine", "--plugin", str(path))
    assert status == 1 and f"mine.py({line})round()" in out and "tensor(" in out
    assert "Ended at the first failure" in out and "deterministic" not in out


def test_the_debugger_is_in_the_check_where_nothing_was_raised_but_by_it(cli, tmp_path, monkeypatch):
    text = (PLUGINS / "fedmedian.py").read_text().replace("fedmedian", "dice")
    (tmp_path / "dice.py").write_text(
        "import torch\n" + text.replace("models.median(dim=0).values", "models[0] * torch.rand(1)")
    )
    status, out = debug(monkeypatch, cli, "p again.status\nq\n", "dice", "--plugin", "dice.py")
    assert status == 1 and "FAILED deterministic" in out and "deterministic()" in out and "'finished'" in out


def test_the_debugger_looks_at_client_models_too(cli, monkeypatch):
    status, out = debug(monkeypatch, cli, "q\n", "--model", "lenet", "--data", "synthetic:side=4")
    assert status == 1 and "lenet.py(" in out and "pixels are too small" in out


def test_a_traceback_s_file_has_a_name_that_windows_takes(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    place = Path(_kept("torchvision:resnet18?norm=group", "Traceback"))
    assert place.read_text() == "Traceback" and place.name.startswith(
        "pfl-bench-check-torchvision_resnet18_norm_group-"
    )
