"""The site in a real browser, from disk, without network. Skipped where there is no Chromium to drive."""

import pytest

from pfl_bench.website.build import build
from pfl_bench.website.sources import suites_of
from pfl_bench.website.writing import write_site
from tests.pfl_bench.results.report.test_browser import Opened, browser, pytestmark  # noqa: F401
from tests.pfl_bench.website.sites import write_docs

SUITES = ("iid-control", "paper-mnist")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    suites = {name: read for name, read in suites_of(None).items() if name in SUITES}
    write_site(folder / "out", build(suites, write_docs(folder / "docs")).files)
    return folder / "out"


PAGES = (
    "index.html", "scenarios.html", "methods/index.html", "methods/ditto.html", "docs/index.html", "docs/first.html",
    "suites/iid-control.html",
)  # fmt: skip


@pytest.mark.parametrize("place", PAGES)
def test_a_page_opens_from_disk_without_a_complaint_narrow_and_wide_light_and_dark(browser, site, place):  # noqa: F811
    opened = Opened(browser, site / place, viewport={"width": 390, "height": 900}, color_scheme="light")
    page = opened.page
    for width, scheme, back in ((390, "light", "rgb(255, 255, 255)"), (1400, "dark", "rgb(22, 22, 26)")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")  # figures follow the window
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == back
    assert opened.errors == [] and all(address.startswith(site.as_uri()) for address in opened.requests)
    page.close()


def test_a_figure_of_the_front_page_leads_to_its_runs_and_back(browser, site):  # noqa: F811
    opened = Opened(browser, site / "index.html")
    page = opened.page
    page.locator("table.matrix td a").first.click()
    page.wait_for_url("**/suites/**")
    assert page.locator("#leaderboard tr.details").count() == 1
    page.locator('[data-figure="curves-visits"] .main-svg, [data-figure="curves-visits"] svg').first.wait_for()
    page.get_by_role("navigation", name="Site").get_by_role("link", name="Methods").click()
    assert page.locator("h1").first.inner_text() == "Methods" and opened.errors == []
    page.close()


def test_printing_leaves_navigation_out(browser, site):  # noqa: F811
    opened = Opened(browser, site / "index.html")
    opened.page.emulate_media(media="print")
    assert not opened.page.locator("nav.site").is_visible() and opened.page.locator("table.matrix").first.is_visible()
    opened.page.close()
