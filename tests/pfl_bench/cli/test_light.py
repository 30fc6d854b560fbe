"""What needs no torch must not wait for it: lists, tables, comparisons, and every refusal of a misspelt name."""

import subprocess
import sys

import pytest

from tests.ledgers import full_folder

PROGRAM = """
import sys
from pfl_bench.cli.app import run_command_line
status = run_command_line(sys.argv[1:])
heavy = [name for name in ("torch", "ray") if name in sys.modules]
print("LOADED", status, *heavy)
"""


def command(*arguments: str, folder=None) -> tuple[list[str], str]:
    """Status and heavy modules loaded, and what was said, of a command in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, cwd=folder, check=True
    )
    return done.stdout.splitlines()[-1].split()[1:], done.stdout + done.stderr


@pytest.mark.parametrize("what", ["methods", "datasets", "partitions", "models", "scenarios", "suites"])
def test_lists(what):
    assert command("list", what)[0] == ["0"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "methodes"], "unknown listing 'methodes': did you mean 'methods'?"),
        (["run", "--methods", "fedavgg"], "unknown method 'fedavgg': did you mean 'fedavg'?"),
        (["run", "--suite", "quik"], "unknown suite 'quik': did you mean 'quick'?"),
        (["run", "--scenarios", "cifar11*"], "unknown scenario 'cifar11*'"),
        (["run", "--seeds", "2-1"], "--seeds: '2-1' is not a number or a rising range"),
        (["run", "--set", "fedavgg.lr=1"], "unknown method 'fedavgg'"),
        (["run", "--executor", "serail"], "unknown executor 'serail': did you mean 'serial'?"),
        (["run", "--backend", "lop"], "unknown backend 'lop': did you mean 'loop'?"),
        (["run", "--state", "dsk"], "unknown state 'dsk': did you mean 'disk'?"),
        (["run", "--precision", "fp61"], "unknown precision 'fp61'"),
        (["run", "--device", "gpu"], "--device: 'gpu' must be auto, cpu, cuda or cuda:N"),
        (["run", "--track", "tensorbord"], "unknown tracker 'tensorbord': did you mean 'tensorboard'?"),
        (["check", "fedavgg"], "unknown method 'fedavgg'"),
        (["leaderboard", "--suite", "quik"], "--suite: no runs in"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refusals(arguments, said, tmp_path):
    loaded, text = command(*arguments, folder=tmp_path)
    assert loaded == ["2"] and said in text
    assert not list(tmp_path.iterdir())


def test_tables_and_comparisons(tmp_path):
    full_folder(tmp_path / "r" / "quick", seeds=3)
    assert command("leaderboard", "--out", "r", "--format", "csv,md,tex,html", folder=tmp_path)[0] == ["0"]
    assert command("compare", "r/quick", "r/quick", folder=tmp_path)[0] == ["0"]
