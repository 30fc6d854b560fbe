"""What needs no torch must not wait for it: lists, tables, comparisons, and every refusal of a misspelt name."""

import json
import subprocess
import sys
from pathlib import Path

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
import io, json, os, sys
from contextlib import redirect_stderr, redirect_stdout
from pfl_bench.cli.app import run_command_line

ended = []
for folder, arguments in json.load(sys.stdin):
    os.chdir(folder)
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        status = run_command_line(arguments)
    heavy = [name for name in ("torch", "ray") if name in sys.modules]
    ended.append([[status, *heavy], said.getvalue()])
json.dump(ended, sys.stdout)
"""

Ended = tuple[list[int | str], str]


def commands(*asked: tuple[Path, list[str]]) -> list[Ended]:
    """Status and heavy modules loaded, and what was said, of commands one after another in a fresh interpreter: what
    one of them loads is held against all that follow."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps([(str(folder), arguments) for folder, arguments in asked]),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [(loaded, said) for loaded, said in json.loads(done.stdout)]


REFUSED = {
    "list methodes": "unknown listing 'methodes': did you mean 'methods'?",
    "run --methods fedavgg": "unknown method 'fedavgg': did you mean 'fedavg'?",
    "run --suite quik": "unknown suite 'quik': did you mean 'quick'?",
    "run --scenarios cifar11*": "unknown scenario 'cifar11*'",
    "run --seeds 2-1": "--seeds: '2-1' is not a number or a rising range",
    "run --set fedavgg.lr=1": "unknown method 'fedavgg'",
    "run --executor serail": "unknown executor 'serail': did you mean 'serial'?",
    "run --backend lop": "unknown backend 'lop': did you mean 'loop'?",
    "run --state dsk": "unknown state 'dsk': did you mean 'disk'?",
    "run --precision fp61": "unknown precision 'fp61'",
    "run --device gpu": "--device: 'gpu' must be auto, cpu, cuda, cuda:N or mps",
    "run --track tensorbord": "unknown tracker 'tensorbord': did you mean 'tensorboard'?",
    "check fedavgg": "unknown method 'fedavgg'",
    "check --model mpl": "unknown client model 'mpl': did you mean 'mlp'?",
    "data prepare mnst": "unknown data set 'mnst': did you mean 'mnist'?",
    "data verify mnst": "unknown data set 'mnst': did you mean 'mnist'?",
    "leaderboard --suite quik": "--suite: no runs in",
    "leaderboard --format png": "unknown format 'png'",
    "compare quik quick": "'quik' is no results folder",
    "tune quik": "unknown suite 'quik': did you mean 'quick'?",
    "tune quick --device gpu": "--device: 'gpu' must be auto, cpu, cuda, cuda:N or mps",
    "tune quick --address a:1 --executor serial": "--address is for --executor ray",
    "estimate --methods fedavgg": "unknown method 'fedavgg'",
    "run --dry-run --suite quik": "unknown suite 'quik'",
    "analyse curves quik": "'quik' is no results folder",
    "results merge quik --into x": "'quik' is no results folder",
    "results validate quik": "'quik' is no results folder",
}
"""What is refused in any folder, and nothing is written."""
MISSPELT = {
    ("synthetic:", "sinthetic:"): "unknown data set 'sinthetic': did you mean 'synthetic'?",
    ('"classes"', '"class"'): "unknown partition rule 'class': did you mean 'classes'?",
    ('"mlp"', '"mpl"'): "unknown client model 'mpl': did you mean 'mlp'?",
    ('"all"', '"fedavg,fedprx"'): "unknown method 'fedprx': did you mean 'fedprox'?",
    ("fedavg =", "fedavgg ="): "unknown method in the tables of suite s 'fedavgg': did you mean 'fedavg'?",
    ("fedavg =", "mine ="): "(51 in all); one of your own comes with --plugin FILE",
}
"""Of ``SUITE`` what is replaced, and by what."""


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """What became of all these commands, each in a folder of its own, and the folder."""
    asked: list[tuple[Path, list[str]]] = [(tmp_path_factory.mktemp("lists"), ["list", what]) for what in LISTINGS]
    asked += [(tmp_path_factory.mktemp("refused"), line.split()) for line in REFUSED]
    for old, new in MISSPELT:
        folder = tmp_path_factory.mktemp("misspelt")
        (folder / "s.toml").write_text(SUITE.replace(old, new))
        asked.append((folder, ["run", "--suite", "s.toml"]))
    found = zip(asked, commands(*asked), strict=True)
    return dict(zip([*LISTINGS, *REFUSED, *MISSPELT], [(*each, folder) for (folder, _), each in found], strict=True))


@pytest.mark.parametrize("what", list(LISTINGS))
def test_lists(what, ended):
    assert ended[what][0] == [0]


@pytest.mark.parametrize("line", REFUSED)
def test_refusals(line, ended):
    loaded, text, folder = ended[line]
    assert loaded == [2] and REFUSED[line] in text
    assert not list(folder.iterdir())


@pytest.mark.parametrize("edit", MISSPELT, ids=" to ".join)
def test_refusals_of_what_a_suite_names(edit, ended):
    loaded, text, folder = ended[edit]
    assert loaded == [2] and MISSPELT[edit] in text
    assert [path.name for path in folder.iterdir()] == ["s.toml"]


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
    lines = (
        "leaderboard --out r --format csv,md,tex,html", "compare r/quick r/quick", "compare r r",
        "results merge r --into m", "--version",
    )  # fmt: skip
    ended = commands(*((tmp_path, line.split()) for line in lines))
    assert [loaded for loaded, _ in ended] == [[0]] * len(lines)
    assert ended[-1][1] == f"pfl-bench {__version__}\n"


def test_folders_of_several_suites_are_compared_suite_by_suite(tmp_path):
    for name, suites in (("old", "ab"), ("new", "bc")):
        for suite in suites:
            full_folder(tmp_path / name / suite, methods=("fedavg",), seeds=2)
    lines = "compare old new", "compare old/a new", "compare old new/c"
    (status, out), *refused = commands(*((tmp_path, line.split()) for line in lines))
    assert status == [1] and "The suite a is gone" in out and "The suite c is new" in out and "0 of 1 cell " in out
    assert [status for status, _ in refused] == [[2], [2]]
    assert "did you mean new/b?" in refused[0][1].replace("\n", " ") and "'old' is no results folder" in refused[1][1]


def test_all_methods_are_loaded_without_scipy():
    """Two of them optimise with it; runs of the others need not wait for it."""
    program = (
        "import sys\nfrom pfl_bench.registry import METHODS\n"
        "assert len([METHODS.get(name) for name in METHODS.names()]) > 50\n"
        "print(*[name for name in ('scipy.linalg', 'scipy.optimize', 'scipy.stats') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "\n"
