"""Wrong requests for a site are refused in a line, and write nothing; what is strange in results harms no page."""

import json

import pytest

from pfl_bench.errors import RequestError
from pfl_bench.results.ledger import Ledger
from pfl_bench.website.build import build
from pfl_bench.website.places import file_names, link
from pfl_bench.website.sources import suites_of
from pfl_bench.website.writing import MANIFEST, write_site
from tests.ledgers import full_folder
from tests.pfl_bench.website.sites import dead_links, unfinished


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none",), "'none' is no results folder"),
        (("two", "--docs", "none"), "--docs: 'none' is no folder"),
        (("two", "--docs", "empty"), "has no Markdown pages"),
        (("two-tuning",), "nothing but trials"),
        (("two", "--out", "taken"), "is not empty and is no site of pfl-bench"),
        (("two", "--out", "file"), "is no folder"),
    ],
)
def test_wrong_requests(cli, tmp_path, words, said):
    for name in ("two", "two-tuning"):
        (tmp_path / name / "runs").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("")
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    status, _, error = cli("site", *words)
    assert status == 2 and said in error and error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_list_of_files_cannot_reach_out_of_the_site(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "mine").write_text("")
    (tmp_path / "out" / MANIFEST).write_text(json.dumps({"files": ["../mine", str(tmp_path / "mine"), "gone"]}))
    write_site(tmp_path / "out", [])
    assert (tmp_path / "mine").exists()


def test_links_out_of_an_earlier_site_are_not_followed_and_names_that_no_file_has_are_passed_over(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_text("")
    (tmp_path / "out" / "assets").symlink_to(tmp_path / "elsewhere")
    listed = {"files": ["assets/mine", "x" * 5000, "a\0b"]}
    (tmp_path / "out" / MANIFEST).write_text(json.dumps(listed))
    write_site(tmp_path / "out", [("index.html", "")])
    assert (tmp_path / "elsewhere" / "mine").exists()
    with pytest.raises(RequestError, match="is no folder of a site"):
        write_site(tmp_path / "out", [("assets/site.css", "")])
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["mine"]


@pytest.mark.parametrize(("place", "said"), [("assets", "is no folder of a site"), ("index.html", "is a folder")])
def test_what_is_in_a_page_s_place_is_named(tmp_path, place, said):
    write_site(tmp_path / "out", [])
    if place == "assets":
        (tmp_path / "out" / place).write_text("")
    else:
        (tmp_path / "out" / place).mkdir()
    with pytest.raises(RequestError, match=said):
        write_site(tmp_path / "out", [("index.html", ""), ("assets/site.css", "")])


def test_hostile_texts_stay_text_and_what_is_left_out_is_told(tmp_path):
    folder = full_folder(tmp_path / "results" / "suite", seeds=2)
    with (ledger := Ledger(folder)).lock():
        unfinished(ledger)
    (folder / "runs" / "broken").mkdir()
    made = build(suites_of(tmp_path / "results"), None)
    write_site(tmp_path / "out", made.files)
    assert any("runs/broken is left out" in note for note in made.notes) and dead_links(tmp_path / "out") == []
    for place in ("index.html", "methods/pfedme.html"):
        assert "<script" not in (tmp_path / "out" / place).read_text(encoding="utf-8")


def test_a_suite_without_a_finished_run_has_a_page(tmp_path):
    with (ledger := Ledger(tmp_path / "suite")).lock():
        unfinished(ledger)
    write_site(tmp_path / "out", build(suites_of(tmp_path / "suite"), None).files)
    assert "No run has a result yet" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert dead_links(tmp_path / "out") == []


def test_every_name_has_a_file_of_its_own():
    found = file_names(["a", "A", "a/b", "a b", "../x", "", "index", "ü", "x" * 500])
    assert len({name.lower() for name in found.values()}) == 9 and "index.html" not in found.values()
    assert all("/" not in name and not name.startswith(".") and len(name) < 120 for name in found.values())


def test_links_are_relative_and_escaped():
    assert link("docs/a.html", "docs/b.html") == "b.html" and link("index.html", "docs/a.html") == "docs/a.html"
    assert link("methods/a.html", "suites/s%.html", scenario="a b", method="") == "../suites/s%25.html#scenario=a+b"
