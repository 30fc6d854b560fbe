"""What the pages in ``docs/`` tell people to type is what the program takes."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from pfl_bench.cli.app import app

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ["board.md", "commands.md", "python.md", "clusters.md", "reading_the_report.md"]


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


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
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    program = typer.main.get_command(app)
    assert named == set(program.commands)
    for group in ("data", "analyse", "results"):
        assert all(f"`{name}`" in text for name in program.commands[group].commands)


def test_the_python_of_the_page_runs_as_it_stands_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    spoken: dict = {}
    for block in blocks("python.md", "python"):
        exec(compile(block, "docs/python.md", "exec"), spoken)
    assert len(spoken["again"].runs) == 4 and spoken["board"]["method"].tolist() and len(spoken["mine"]) > 40
    assert not spoken["model"].training and [path.name for path in Path("results").iterdir()] == ["quick"]
    assert "accuracy_mean" in capsys.readouterr().out
