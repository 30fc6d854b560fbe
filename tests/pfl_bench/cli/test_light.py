"""What needs no torch must not wait for it: lists, tables, comparisons, and every refusal of a misspelt name."""

import subprocess
import sys

import pytest

from pfl_bench import __version__
from pfl_bench.cli.list import LISTINGS
from pfl_bench.client.backends import BACKENDS
from pfl_bench.results import EVERY_FORMAT, PAGE, PICTURES
from pfl_bench.results.render import FORMATS
from pfl_bench.spec import options
from tests.ledgers import full_folder

SUITE = """
name = "s"
methods = "all"

[[scenario]]
id = "s-v1"
dataset = "synthetic:n=60"
partition = { rule = "classes", classes = 2 }
clients = 2
model = "mlp"
visits = 1
local_steps = 1
batch_size = 1
eval_every = 1

[hyperparameters]
fedavg = { lr = 0.1 }
"""

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


@pytest.mark.parametrize("what", list(LISTINGS))
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
        (["run", "--device", "gpu"], "--device: 'gpu' must be auto, cpu, cuda, cuda:N or mps"),
        (["run", "--track", "tensorbord"], "unknown tracker 'tensorbord': did you mean 'tensorboard'?"),
        (["check", "fedavgg"], "unknown method 'fedavgg'"),
        (["check", "--model", "mpl"], "unknown client model 'mpl': did you mean 'mlp'?"),
        (["data", "prepare", "mnst"], "unknown data set 'mnst': did you mean 'mnist'?"),
        (["data", "verify", "mnst"], "unknown data set 'mnst': did you mean 'mnist'?"),
        (["leaderboard", "--suite", "quik"], "--suite: no runs in"),
        (["leaderboard", "--format", "png"], "unknown format 'png'"),
        (["compare", "quik", "quick"], "'quik' is no results folder"),
        (["tune", "quik"], "unknown suite 'quik': did you mean 'quick'?"),
        (["tune", "quick", "--device", "gpu"], "--device: 'gpu' must be auto, cpu, cuda, cuda:N or mps"),
        (["tune", "quick", "--address", "a:1", "--executor", "serial"], "--address is for --executor ray"),
        (["estimate", "--methods", "fedavgg"], "unknown method 'fedavgg'"),
        (["run", "--dry-run", "--suite", "quik"], "unknown suite 'quik'"),
        (["analyse", "curves", "quik"], "'quik' is no results folder"),
        (["results", "merge", "quik", "--into", "x"], "'quik' is no results folder"),
        (["results", "validate", "quik"], "'quik' is no results folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refusals(arguments, said, tmp_path):
    loaded, text = command(*arguments, folder=tmp_path)
    assert loaded == ["2"] and said in text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("synthetic:", "sinthetic:", "unknown data set 'sinthetic': did you mean 'synthetic'?"),
        ('"classes"', '"class"', "unknown partition rule 'class': did you mean 'classes'?"),
        ('"mlp"', '"mpl"', "unknown client model 'mpl': did you mean 'mlp'?"),
        ('"all"', '"fedavg,fedprx"', "unknown method 'fedprx': did you mean 'fedprox'?"),
        ("fedavg =", "fedavgg =", "unknown method in the tables of suite s 'fedavgg': did you mean 'fedavg'?"),
        ("fedavg =", "mine =", "(51 in all); one of your own comes with --plugin FILE"),
    ],
)
def test_refusals_of_what_a_suite_names(old, new, said, tmp_path):
    suite = tmp_path / "s.toml"
    suite.write_text(SUITE.replace(old, new))
    loaded, text = command("run", "--suite", "s.toml", folder=tmp_path)
    assert loaded == ["2"] and said in text
    assert list(tmp_path.iterdir()) == [suite]


def test_a_python_without_the_packages_is_told_where_there_is_one_with_them():
    program = "import sys; sys.modules['typer'] = None\nfrom pfl_bench.__main__ import main\nmain()"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(
        f"error: typer is not installed for {sys.executable}: `make run` makes an environment"
    )
    assert ended.stderr.count("\n") == 1


def test_names_that_are_known_without_torch_are_all_there_are():
    assert (*FORMATS, PAGE, *PICTURES) == EVERY_FORMAT
    assert ("auto", *BACKENDS) == options.BACKENDS


def test_tables_and_comparisons(tmp_path):
    full_folder(tmp_path / "r" / "quick", seeds=3)
    assert command("leaderboard", "--out", "r", "--format", "csv,md,tex,html", folder=tmp_path)[0] == ["0"]
    assert command("compare", "r/quick", "r/quick", folder=tmp_path)[0] == ["0"]
    assert command("compare", "r", "r", folder=tmp_path)[0] == ["0"]
    assert command("results", "merge", "r", "--into", "m", folder=tmp_path)[0] == ["0"]
    assert command("--version") == (["0"], f"pfl-bench {__version__}\nLOADED 0\n")


def test_folders_of_several_suites_are_compared_suite_by_suite(tmp_path):
    for name, suites in (("old", "ab"), ("new", "bc")):
        for suite in suites:
            full_folder(tmp_path / name / suite, methods=("fedavg",), seeds=2)
    status, out = command("compare", "old", "new", folder=tmp_path)
    assert status == ["1"] and "The suite a is gone" in out and "The suite c is new" in out and "0 of 1 cell " in out
    status, out = command("compare", "old/a", "new", folder=tmp_path)
    assert status == ["2"] and "did you mean new/b?" in out.replace("\n", " ")
    status, out = command("compare", "old", "new/c", folder=tmp_path)
    assert status == ["2"] and "'old' is no results folder" in out


def test_all_methods_are_loaded_without_scipy():
    """Two of them optimise with it; runs of the others need not wait for it."""
    program = (
        "import sys\nfrom pfl_bench.registry import METHODS\n"
        "assert len([METHODS.get(name) for name in METHODS.names()]) > 50\n"
        "print(*[name for name in ('scipy.linalg', 'scipy.optimize', 'scipy.stats') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "\n"
