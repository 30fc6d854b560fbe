"""A whole site: every link leads somewhere, and what it says is what the results say."""

import shutil
from pathlib import Path

import pytest

import pfl_bench as pfl
from pfl_bench.website.build import build
from pfl_bench.website.sources import suites_of
from pfl_bench.website.writing import write_site
from tests.pfl_bench.website.sites import Page, dead_links, results, write_docs

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    return pfl.site(results(folder / "results"), out=folder / "out", docs=write_docs(folder / "docs"))


@pytest.fixture(scope="module")
def site(made):
    return made.front.parent


def text(site, place):
    return (site / place).read_text(encoding="utf-8")


def test_every_link_leads_somewhere(site):
    assert dead_links(site) == []


def test_the_newest_board_is_first_and_trials_are_not_shown(site):
    front = text(site, "index.html")
    assert front.index("suites/board-v2.html") < front.index("suites/two.html") and "two-tuning" not in front
    assert "ditto is first in sc-v1" in front and "Untested" in front and "2026-11-24" in front and "c0ffee" in front


def test_a_suites_page_shares_the_plotting_library(site):
    page = text(site, "suites/two.html")
    assert 'src="../assets/plotly.min.js"' in page and len(page) < 300_000
    assert (site / "assets" / "plotly.min.js").stat().st_size > 1_000_000
    assert {"../index.html", "../methods/index.html"} <= set(Page(site / "suites" / "two.html").links)


def test_a_method_has_its_page_and_where_it_stands(site):
    page = text(site, "methods/ditto.html")
    assert "<h1" in page and "1 of 3" in page and "../suites/two.html#scenario=other-v1&amp;method=ditto" in page
    assert "no results in these suites" in text(site, "methods/other.html")
    assert "Paper: McMahan" in text(site, "methods/fedavg.html"), "without a page of its own: what its file says"


def test_scenarios_say_who_leads_and_how_many_samples_clients_have(site):
    page = text(site, "scenarios.html")
    assert "median 78 (3 to 153)" in page and "100 visits of 5 steps" in page and "ditto (" in page


def test_what_leads_out_is_text_and_told(site, made):
    page = text(site, "docs/first.html")
    assert "<em>out</em>" in page and 'id="a-heading"' in page and "&lt;b&gt;1&lt;/b&gt;" in page and "picture" in page
    told = [note for note in made.notes if note.startswith("first.md")]
    assert len(told) == 2 and "../LICENSE" in told[0] and 'href="https://example.org"' in page


def test_no_page_but_the_suites_has_a_script(site):
    for file in site.rglob("*.html"):
        assert ("<script" in file.read_text(encoding="utf-8")) == (file.parent.name == "suites")


def test_the_shipped_results_make_a_site_without_any_folder(tmp_path):
    suites = {name: read for name, read in suites_of(None).items() if name in ("iid-control", "paper-mnist")}
    write_site(tmp_path / "out", build(suites, None).files)
    assert dead_links(tmp_path / "out") == [] and not (tmp_path / "out" / "docs").exists()
    page = text(tmp_path / "out", "scenarios.html")
    assert "fashion_mnist" in page and "500 visits of 50 steps" in page and "sizes" not in page.partition("<table")[2]


def test_the_projects_own_documents_lead_nowhere_but_into_the_site(tmp_path):
    suites = {name: read for name, read in suites_of(None).items() if name == "paper-budgets"}
    made = build(suites, DOCS)
    write_site(tmp_path / "out", made.files)
    assert made.notes == [] and dead_links(tmp_path / "out") == []
    links = set(Page(tmp_path / "out" / "index.html").links)
    assert {"docs/index.html", "docs/submitting.html", "methods/index.html"} <= links
    assert "Where it stands" in text(tmp_path / "out", "methods/fedper.html")


def test_a_second_site_takes_the_place_of_the_first_and_of_nothing_else(made, site, tmp_path):
    out = shutil.copytree(site, tmp_path / "out")
    (out / "mine.txt").write_text("not of the site")
    write_site(out, [("index.html", "new")])
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == [
        "index.html",
        "mine.txt",
        "pfl-bench-site.json",
    ]


def test_a_board_has_a_page_of_what_it_found_whose_sentences_lead_to_their_tables(site):
    page = Page(site / "findings" / "board-v2.html")
    named = [address for address in page.links if address.startswith("#")]
    assert {"#scenarios", "#controls", "#standing"} <= set(named) and {address[1:] for address in named} <= page.ids
    assert "findings/board-v2.html" in Page(site / "index.html").links
    assert not (site / "findings" / "two.html").exists()
    text = (site / "findings" / "board-v2.html").read_text()
    assert "<h2" in text and "<th>fedavg_ft</th>" in text and "nobody tuned" not in text
