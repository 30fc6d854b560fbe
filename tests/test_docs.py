"""What the pages in ``docs/`` tell people to type is what the program takes."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer.main

from pfl_bench.cli.app import app
from pfl_bench.cli.list import LISTINGS
from pfl_bench.spec.suite import builtin_suites

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
