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

    def __init__(self, browser, file, **options):
        self.page = browser.new_page(**options)
        self.errors: list[str] = []
        self.requests: set[str] = set()
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda r: self.requests.add(r.url) if not r.url.startswith(("data:", "blob:")) else 0)
        self.page.goto(file.as_uri())


def column(page, number: int) -> list[str]:
    return page.locator(f"#leaderboard > tbody > tr:visible > :nth-child({number})").all_inner_texts()


def test_sorts_by_any_column(page):
    heading = page.get_by_role("columnheader", name="accuracy", exact=True).first
    heading.get_by_role("button").click()
    rising = [float(text.split()[0]) for text in column(page, 4)]
    assert rising == sorted(rising) and heading.get_attribute("aria-sort") == "ascending"
    heading.get_by_role("button").press("Enter")
    assert [float(text.split()[0]) for text in column(page, 4)] == rising[::-1]
    page.locator("#leaderboard thead th button").first.click()
    assert column(page, 1) == sorted(column(page, 1)) and heading.get_attribute("aria-sort") is None


def test_filters_by_scenario_and_method(page):
    page.locator("#scenario").select_option("other-v1")
    assert len(column(page, 1)) == 3 and page.locator("#shown").inner_text() == "3 of 6 rows"
    page.locator("#methods summary").click()
    page.get_by_label("local").uncheck()
    assert sorted(column(page, 1)) == ["ditto", "fedavg"]
    page.get_by_role("button", name="none", exact=True).click()
    assert column(page, 1) == []


def test_a_cell_leads_to_its_runs(page):
    button = page.locator("#leaderboard button.runs").first
    button.click()
    details = page.locator("#leaderboard tr.details")
    assert details.locator("tr[data-run]").count() == 8 and button.get_attribute("aria-expanded") == "true"
    text = details.inner_text()
    assert "c0ffee" in text and '{"lr": 0.1}' in text and f"{1:064x}" in details.text_content()
    button.click()
    assert details.count() == 0


def test_every_figure_is_drawn_in_view_and_redrawn_for_a_scenario(page):
    names = page.locator(".plot").evaluate_all("all => all.map(plot => plot.dataset.figure)")
    assert {"ranks", "curves-visits", "curves-bytes", "distributions", "pareto", "novel", "partition"} == set(names)
    for name in names:
        plot = page.locator(f'[data-figure="{name}"]')
        plot.scroll_into_view_if_needed()
        plot.locator(".main-svg").first.wait_for()
        assert plot.locator(".modebar-btn").count() == 4, "and none that uploads the chart"
    page.locator("#scenario").select_option("other-v1")
    assert "other-v1" in page.locator('[data-figure="pareto"] .gtitle').text_content()


def test_theme_goes_round(page):
    back = "getComputedStyle(document.body).backgroundColor"
    button = page.locator("#theme")
    button.click()
    light = page.evaluate(back)
    button.click()
    assert page.evaluate(back) != light and button.inner_text() == "Theme: dark"
    button.click()
    assert button.inner_text() == "Theme: automatic"


@pytest.mark.parametrize("width", [390, 1300])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fits_the_screen(browser, file, width, scheme):
    opened = Opened(browser, file, viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    dark = opened.page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark") and opened.errors == []
    opened.page.close()


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
