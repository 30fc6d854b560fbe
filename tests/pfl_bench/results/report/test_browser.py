"""The page in a real browser, from disk, without network. Skipped where there is no Chromium to drive."""

import shutil

import pytest

from pfl_bench.results.report.collect import collect
from pfl_bench.results.report.page import render
from tests.ledgers import full_folder, save
from tests.pfl_bench.results.report.test_page import hostile_runs

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
HOSTILE = '</script><script>document.title = "taken"</script><img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = full_folder(tmp_path_factory.mktemp("page") / "suite", scenarios=("sc-v1", "other-v1"), novel=True)
    target = folder / "leaderboard.html"
    target.write_text(render(collect(folder)), encoding="utf-8")
    return target


@pytest.fixture
def page(browser, file):
    opened = Opened(browser, file)
    yield opened.page
    opened.page.close()
    assert opened.errors == [] and opened.requests == {file.as_uri()}


class Opened:
    """A page with what it complained about and what it asked for."""

    def __init__(self, browser, file, at="", **options):
        self.page = browser.new_page(**options)
        self.page.set_default_timeout(10_000)
        self.errors: list[str] = []
        self.requests: set[str] = set()
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda r: self.requests.add(r.url) if not r.url.startswith(("data:", "blob:")) else 0)
        self.page.goto(file.as_uri() + at)


def column(page, number: int, scenario: str = "") -> list[str]:
    part = f'[data-scenario="{scenario}"]' if scenario else ""
    return page.locator(f"#leaderboard > tbody{part} > tr[data-entry]:visible > :nth-child({number})").all_inner_texts()


def in_view(locator) -> bool:
    return locator.evaluate(
        "e => { const b = e.getBoundingClientRect(); return b.top >= 0 && b.bottom <= innerHeight }"
    )


def test_the_first_click_sorts_the_best_on_top_within_each_scenario(page):
    heading = page.locator("#leaderboard thead th").nth(1)
    heading.get_by_role("button").click()
    for scenario in ("sc-v1", "other-v1"):
        falling = [float(text.split()[0]) for text in column(page, 2, scenario)]
        assert falling == sorted(falling, reverse=True) and heading.get_attribute("aria-sort") == "descending"
    heading.get_by_role("button").press("Enter")
    assert [float(text.split()[0]) for text in column(page, 2, "other-v1")] == falling[::-1]
    page.locator("#leaderboard thead th button").first.click()
    assert column(page, 1, "sc-v1") == ["ditto", "fedavg", "local"] and heading.get_attribute("aria-sort") is None
    rank = page.locator("#matrix thead th button").nth(1)
    rank.click()
    assert page.locator("#matrix tbody th").all_inner_texts() == ["ditto", "local", "fedavg"]


def test_filters_by_scenario_and_method_and_the_address_says_so(page):
    page.locator("#scenario").select_option("other-v1")
    assert len(column(page, 1)) == 3 and page.locator("#shown").inner_text() == "3 of 6 rows"
    page.locator("#methods summary").click()
    page.get_by_role("checkbox", name="local").uncheck()
    assert sorted(column(page, 1)) == ["ditto", "fedavg"]
    assert page.evaluate("location.hash") == "#scenario=other-v1&only=ditto&only=fedavg"
    page.reload()
    assert sorted(column(page, 1)) == ["ditto", "fedavg"], "the address leads back to it"
    page.locator("#methods summary").click()
    page.get_by_role("button", name="none", exact=True).click()
    assert column(page, 1) == []


def test_the_bar_and_the_head_of_a_table_stay_in_sight(page):
    page.set_viewport_size({"width": 1300, "height": 400})
    page.locator("#leaderboard tbody tr[data-entry]").last.scroll_into_view_if_needed()
    page.evaluate("scrollBy(0, 30)")
    assert page.evaluate("scrollY") > 200
    assert in_view(page.locator("#filters")) and in_view(page.locator("#leaderboard thead th").first)


def test_a_figure_of_the_matrix_leads_to_its_runs(page):
    page.locator('#matrix tr[data-entry="ditto"] td a').last.click()
    details = page.locator("#leaderboard tr.details")
    assert details.locator("tr[data-run]").count() == 8 and page.locator("#scenario").input_value() == "sc-v1"
    assert "method=ditto" in page.evaluate("location.hash")
    page.go_back()
    playwright.expect(page.locator("#scenario")).to_have_value("")


def test_permanent_links(browser, file):
    opened = Opened(browser, file, "#scenario=other-v1&method=local")
    row = opened.page.locator('#leaderboard tbody[data-scenario="other-v1"] tr[data-entry="local"]')
    assert in_view(row) and "pointed" in row.get_attribute("class")
    assert opened.page.locator("tr.details tr[data-run]").count() == 8
    opened.page.evaluate("location.hash = '#method=nobody'")
    playwright.expect(opened.page.locator("#shown")).to_have_text("Not on this page: nobody")
    assert len(column(opened.page, 1)) == 6 and opened.errors == []
    opened.page.close()


def test_a_cell_leads_to_its_runs(page):
    button = page.locator("#leaderboard button.runs").first
    button.click()
    details = page.locator("#leaderboard tr.details")
    assert details.locator("tr[data-run]").count() == 8 and button.get_attribute("aria-expanded") == "true"
    text = details.inner_text()
    assert "c0ffee" in text and '{"lr": 0.1}' in text and f"{1:064x}" in details.text_content()
    button.click()
    assert details.count() == 0


def test_every_figure_is_drawn_in_view_one_for_each_scenario_or_for_the_chosen_one(page):
    names = page.locator(".plot").evaluate_all("all => all.map(plot => plot.dataset.figure)")
    assert {"ranks", "curves-visits", "curves-bytes", "distributions", "pareto", "novel", "partition"} == set(names)
    for name in names:
        plot = page.locator(f'[data-figure="{name}"]')
        plot.scroll_into_view_if_needed()
        plot.locator(".main-svg").first.wait_for()
        assert plot.locator(".panel").count() == (1 if name == "ranks" else 2)
        assert plot.locator(".panel").first.locator(".modebar-btn").count() == 4, "and none that uploads the chart"
    page.locator("#scenario").select_option("other-v1")
    assert page.locator('[data-figure="pareto"] .panel > a').all_inner_texts() == ["other-v1"]
    curves = page.locator('[data-figure="curves-visits"]')
    curves.scroll_into_view_if_needed()
    curves.locator(".main-svg").first.wait_for()
    lines, before = curves.locator(".scatterlayer .trace"), 3 + 3
    assert lines.count() == before, "a line and a band each"
    page.locator("#every-run").check()
    assert lines.count() == before + 3 * 8


def test_any_method_against_any_other(page):
    page.locator("#first").select_option("fedavg")
    page.locator("#second").select_option("ditto")
    assert page.locator("#duel-sum").inner_text() == (
        "fedavg against ditto: 0 won, 0 tied, 2 lost, 0 untested; its mean is ahead in 0 and behind in 2."
    )
    page.locator("#all-pairs summary").click()
    page.locator("#pairs tbody tr").first.get_by_role("button").first.click()
    assert page.locator("#duel-sum").inner_text().startswith("ditto against local: ")


def test_every_evaluation_can_be_taken_away(page):
    with page.expect_download() as download:
        page.locator('button[data-of="curves-visits"]').click()
    rows = download.value.path().read_text().splitlines()
    assert rows[0] == "scenario,method,seed,visits,mb,accuracy" and len(rows) == 1 + 2 * 3 * 8 * 3


def test_on_paper_there_are_all_figures_in_light_colours(browser, file):
    opened = Opened(browser, file, color_scheme="dark")
    assert opened.page.locator(".main-svg").count() < 13 * 3
    assert len(opened.page.pdf()) > 50_000
    panels = opened.page.locator(".panel")
    assert panels.count() == 13 and panels.locator(".main-svg").count() >= 13
    assert opened.page.evaluate("document.documentElement.dataset.theme") is None and opened.errors == []
    opened.page.close()


def test_theme_goes_round(page):
    back = "getComputedStyle(document.body).backgroundColor"
    button = page.locator("#theme")
    button.click()
    light = page.evaluate(back)
    button.click()
    assert page.evaluate(back) != light and button.inner_text() == "Theme: dark"
    button.click()
    assert button.inner_text() == "Theme: automatic"


FITS = "width => document.documentElement.scrollWidth <= width"
"""Waited for: on a busy machine a figure takes a moment to follow the window."""


def test_fits_the_screen_in_light_and_dark(page):
    for width in (390, 1300):
        page.set_viewport_size({"width": width, "height": 800})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(FITS, arg=width)
            dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
            assert dark == (scheme == "dark")
        page.locator("#leaderboard button.runs").first.click()
        page.wait_for_function(FITS, arg=width)  # with the runs of a row too


def test_on_a_narrow_screen_accuracies_are_in_sight(page):
    page.set_viewport_size({"width": 390, "height": 800})
    for table in ("matrix", "leaderboard"):
        box = page.locator(f"#{table} td[data-value]:visible").first.bounding_box()
        assert box["x"] + box["width"] <= 390


def test_can_be_used_with_the_keyboard_alone(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("#leaderboard button.runs").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("tr.details").count() == 1
    unnamed = "all => all.filter(e => !e.textContent.trim() && !e.labels?.length && !e.ariaLabel).length"
    assert page.locator("button, select, input").evaluate_all(unnamed) == 0


def test_hostile_names_run_no_script(browser, tmp_path):
    from pfl_bench.results.ledger import Ledger

    ledger = Ledger(tmp_path / "suite")
    with ledger.lock():
        for run in hostile_runs(HOSTILE):
            save(ledger, run)
    target = tmp_path / "suite" / "leaderboard.html"
    target.write_text(render(collect(tmp_path / "suite")), encoding="utf-8")
    opened = Opened(browser, target)
    opened.page.locator("#leaderboard button.runs").first.click()
    assert opened.page.title() == "suite: pfl-bench" and opened.page.locator("img").count() == 0
    assert HOSTILE in opened.page.locator("#leaderboard").text_content()
    assert opened.errors == [] and opened.requests == {target.as_uri()}
    opened.page.close()
