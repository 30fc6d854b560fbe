"""What the pages in ``docs/`` tell people to type is what the program takes.

The commands of ``commands.md`` are run, too. Those of ``board.md`` and ``clusters.md`` are parsed only: they take
hours, or machines that share a disk.
"""

import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pandas as pd
import pytest
import typer.main

from pfl_bench.cli.app import app
from pfl_bench.cli.list import LISTINGS
from pfl_bench.running import keeping
from pfl_bench.running.provenance import Commit
from pfl_bench.spec.suite import builtin_suites

from .ledgers import full_folder
from .pages import run_shell
from .pfl_bench.cli.tiny import SUITE
from .pfl_bench.website.sites import write_docs

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ["board.md", "commands.md", "python.md", "clusters.md", "reading_the_report.md"]


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    below = (DOCS / page).read_text(encoding="utf-8").partition(f"# {heading}\n")[2]
    table, *_ = re.findall(r"(?:^\|.*\n)+", below, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


LINES = [line for page in PAGES for block in (*blocks(page, "sh"), *blocks(page, "bash")) for line in block.splitlines()
         if line.startswith("pfl-bench ")]  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_every_command_on_the_pages_is_one_that_the_program_takes(line):
    words = shlex.split(line.removesuffix(" &"))[1:]
    command, parent = typer.main.get_command(app), None
    while hasattr(command, "commands"):
        name, *words = words
        parent = command.make_context("pfl-bench", [name], parent=parent, resilient_parsing=True)
        command = command.commands[name]
    command.make_context(name, words, parent=parent)


def test_the_page_of_commands_has_every_command():
    named = {name.strip("`"): set(re.findall(r"`(\w+)`", told)) for name, told in rows("commands.md", "Commands")}
    program = typer.main.get_command(app)
    assert set(named) == set(program.commands)
    for group in ("data", "analyse", "results"):
        assert named[group] == set(program.commands[group].commands)
    assert named["list"] == set(LISTINGS)


def test_the_page_of_commands_has_every_extra():
    named = [name for cells in rows("commands.md", "Extras") for name in re.findall(r"`(\w+)`", cells[0])]
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert sorted(named) == sorted(project["optional-dependencies"])


def test_what_every_suite_needs_is_on_the_page():
    """What is fetched goes through ``stored_arrays``; what an extra brings is a ``package_file``."""
    told = {}
    for suites, fetched, extra in rows("commands.md", "data"):
        for suite in re.findall(r"`([\w-]+)`", suites):
            told[suite] = (set(re.findall(r"`(\w+)`", fetched)), "`natural`" in extra)
    needs = {}
    for name, suite in builtin_suites().items():
        sources = {re.split("[:?]", s.dataset.removeprefix("sample:"))[0] for s in suite.scenarios}
        texts = {source: (DOCS.parent / "datasets" / f"{source}.py").read_text(encoding="utf-8") for source in sources}
        fetched = {source for source, text in texts.items() if "stored_arrays" in text}
        needs[name] = (fetched, any("package_file" in text for text in texts.values()))
    assert told == needs


def test_the_python_of_the_page_runs_as_it_stands_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    spoken: dict = {}
    for block in blocks("python.md", "python"):
        exec(compile(block, "docs/python.md", "exec"), spoken)
    assert len(spoken["again"].runs) == 4 and spoken["board"]["method"].tolist() and len(spoken["mine"]) > 40
    assert not spoken["model"].training and [path.name for path in Path("results").iterdir()] == ["quick"]
    assert "accuracy_mean" in capsys.readouterr().out


ONLY_PARSED = {
    "pfl-bench estimate --suite paper-table1 --methods fedavg,pfedhn --seeds 0-4 --workers 4":
        "needs CIFAR-10, which the network has",
    "pfl-bench run --suite quick --dry-run": "measures every method for seconds; tests/pfl_bench/cli/test_estimate.py",
    "pfl-bench tune my.toml --scenarios 'cifar10-*' --plugin my_method.py --budget-scale 0.1 --device cuda":
        "needs a GPU, and CIFAR-10",
    "pfl-bench pages docs/methods --suite-reference docs/suite_reference.md":
        "reads the project's root; tests/pfl_bench/testing/test_method_pages.py holds the pages to what it writes",
    "pfl-bench data prepare cifar10": "needs CIFAR-10, which the network has",
    "pfl-bench site": "makes a page of every shipped suite; .ci/run makes that of results/published",
}  # fmt: skip
"""Lines of ``commands.md`` that are not run here, and why."""
SHORTER = {
    "run --suite quick": "run --suite quick --executor serial --budget-scale 0.02",
    "run --suite my.toml": "run --suite my.toml --executor serial",
    "--seeds 0-2": "--seeds 0",
    "--keep-models": "--keep-models --seeds 0",
    "tune quick": "tune quick --executor serial --seeds 1000 --budget-scale 0.02",
    "--trials 8": "--trials 1",
    "'digits-classes*,digits-rot*' --methods fedavg": "'digits-classes*,digits-rot*' --methods fedavg --trials 1",
}
"""What is asked for instead, in this order."""
SAYS = [
    ("run --suite quick", "ditto"),
    ("run --suite my.toml", "my_method"),
    ("run --suite quick", "Written"),
    ("tune quick", r"fedavg = \{ lr = "),
    ("tune quick shifts", "digits-rotation"),
    ("check fedavg", "all checks passed"),
    ("check my_method", "all checks passed"),
    ("compare results/quick", "fedavg"),
    ("compare results other", "my"),
    ("analyse curves", "Written"),
    ("analyse novel", "Written"),
    ("analyse board", "Written"),
    ("analyse transfer", "Written"),
    ("results merge", "(?s)machine-a/merged: 1 run copied.*machine-b/merged: 1 run copied"),
    ("results validate", "nothing is wrong"),
    ("results pack", "6 runs"),
    ("data verify", "600 train"),
    ("site results/published", "Written"),
]
"""The commands of ``commands.md`` that are run, in the order of the page, and what each must say."""


def own_files(folder: Path) -> None:
    """The reader's own suite and method."""
    (folder / "my.toml").write_text(SUITE.replace('name = "tiny"', 'name = "my"').replace("fedavg,fedper", "my_method"))
    own = (DOCS.parent / "examples" / "own_method.py").read_text(encoding="utf-8")
    (folder / "my_method.py").write_text(own.replace('"halfway"', '"my_method"'), encoding="utf-8")


def another_folder(folder: Path) -> None:
    """The results so far, once more."""
    shutil.copytree(folder / "results", folder / "other")


def long_runs(folder: Path) -> None:
    """Finished runs of suites that take hours, and of other machines; documents."""
    full_folder(folder / "results" / "paper-novel-clients", methods=("local", "fedavg"), seeds=1, novel=True)
    full_folder(folder / "results" / "board-v1", methods=("local", "fedavg", "fedavg_ft"), seeds=2, clients=3)
    full_folder(folder / "results" / "published" / "sample", methods=("local", "fedavg"), seeds=1, clients=3)
    for place, method in (("machine-a", "local"), ("machine-b", "ditto")):
        full_folder(folder / place / "merged", methods=(method,), seeds=1, clients=3)
    (folder / "results" / "board-v1-tuning").mkdir()
    rows = [(f"r{i}", "a", "fedavg", 1000, "finished", 60.0 + i, f'{{"lr": 0.{i}}}') for i in (1, 2)]
    columns = ["run_id", "scenario", "method", "seed", "status", "validation_accuracy", "config"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "results" / "board-v1-tuning" / "tuning.csv", index=False)
    write_docs(folder / "docs")


GIVEN = {"run --suite quick": own_files, "compare results/quick": another_folder, "analyse curves": long_runs}
"""What the page takes for granted, made before the first line that begins so."""


def test_the_commands_of_the_page_of_commands_work_in_their_order(cli, tmp_path, monkeypatch, first_checks_only):
    monkeypatch.setattr(keeping, "commit", lambda: Commit("c0ffee"))  # as in a clean clone
    given = dict(GIVEN)
    lines = [line for block in blocks("commands.md", "sh") for line in block.splitlines()]
    assert set(ONLY_PARSED) <= set(lines)
    ran = [line for line in lines if line not in ONLY_PARSED]
    assert len(ran) == len(SAYS)
    for line, (begins, expected) in zip(ran, SAYS, strict=True):
        assert line.startswith(f"pfl-bench {begins}"), line
        given.pop(begins, lambda folder: None)(tmp_path)
        for whole, short in SHORTER.items():
            line = line.replace(whole, short)
        (said,) = run_shell(line, cli, tmp_path)
        assert re.search(expected, said), f"{line}\n{said}"
    assert list(tmp_path.glob("results/quick/runs/fedavg-*/models.safetensors"))
    assert (tmp_path / "build" / "site" / "suites" / "sample.html").is_file()
