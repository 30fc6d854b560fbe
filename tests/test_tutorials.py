"""Pages that show how something is done: what they tell people to write and to run works as it stands there."""

import re
import shutil
from pathlib import Path

import pytest

from pfl_bench import __version__
from pfl_bench.running import keeping
from pfl_bench.running.provenance import Commit
from pfl_bench.website.documents import read_documents

from .ledgers import full_folder
from .pages import run_shell

ROOT = Path(__file__).parent.parent
DOCS, EXAMPLES = ROOT / "docs", ROOT / "examples"
SAYS = {
    "first_results.md": ["fedavg", "6 of 12 runs were finished before", "Written", "ditto", "quick"],
    "own_method.md": ["all checks passed", "halfway"],
    "own_model.md": ["all checks passed", "fedper"],
    "own_suite.md": ["fedper \\(personal_layers=2\\)"],
    "tuning.md": ["fedavg = { lr = .* }"],
    "submitting.md": ["halfway = { lr = ", "halfway", "nothing is wrong", "1 run copied", "Written: "],
}
"""By page, what its commands must say, one after another."""
SHORTER = {
    "--trials 8": "--trials 1 --seeds 1000 --budget-scale 0.05",
    "--seeds 0-9": "--seeds 0 --budget-scale 0.05",
    "svg,pdf": "svg",
}
"""What a test asks for instead."""


def blocks(page: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def shorter(text: str) -> str:
    for whole, short in SHORTER.items():
        text = text.replace(whole, short)
    return text


@pytest.mark.parametrize("page", SAYS)
def test_the_commands_of_a_page_work_in_their_order(page, cli, tmp_path, monkeypatch, first_checks_only):
    monkeypatch.setattr(keeping, "commit", lambda: Commit("c0ffee"))  # as in a clean clone
    for file in EXAMPLES.glob("own_*"):
        shutil.copy(file, tmp_path)
    said = []
    for language, text in blocks(page):
        if named := re.match(r"# (\S+)\n", text):
            (tmp_path / named[1]).write_text(text, encoding="utf-8")
        if language == "sh":
            said += run_shell(shorter(text), cli, tmp_path)
    assert len(said) == len(SAYS[page])
    for out, expected in zip(said, SAYS[page], strict=True):
        assert re.search(expected, out), out


@pytest.mark.parametrize("page", SAYS)
def test_a_file_that_a_page_shows_is_the_example_of_that_name(page):
    shown = {named[1]: text for _, text in blocks(page) if (named := re.match(r"# (\S+)\n", text))}
    for name in set(shown) & {path.name for path in EXAMPLES.iterdir()}:
        assert shown[name].partition("\n")[2] == (EXAMPLES / name).read_text(encoding="utf-8"), name


def test_the_commands_on_reading_the_report_make_what_they_say(cli, tmp_path):
    folder = full_folder(tmp_path / "results" / "quick", methods=("local", "fedavg"), seeds=2, clients=3)
    for _, text in blocks("reading_the_report.md"):
        assert all("Written: " in said for said in run_shell(shorter(text), cli, tmp_path))
    assert {"leaderboard.html", "leaderboard.tex", "figures"} <= {path.name for path in folder.iterdir()}


def test_what_assistants_are_told_is_there():
    text = (ROOT / "AGENTS.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120
    named = re.findall(
        r"\b((?:tests|docs|examples|datasets|pfl_bench|results|website|actions|cli)/[\w./-]*[\w/])", text
    )
    places = {name for name in named if not re.search(r"[A-Z]{2}|NAME", name.removesuffix("README.md"))}
    assert len(places) > 15
    assert [name for name in places if not (ROOT / name).exists() and not (ROOT / "pfl_bench" / name).exists()] == []


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", text, re.MULTILINE)[1] == __version__ and "2103.04628" in text


def test_the_index_has_every_page():
    text = (DOCS / "README.md").read_text(encoding="utf-8")
    assert {place for place in read_documents(DOCS) if "/" not in place} - {"README.md"} <= set(
        re.findall(r"\]\(([a-z_]+\.md)\)", text)
    )


def test_words_are_in_the_order_of_the_alphabet_and_each_once():
    words = re.findall(r"^\*\*(.+?)\*\*: ", (DOCS / "words.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(words) > 35 and words == sorted(set(words))
