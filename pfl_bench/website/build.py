"""A site from suites and documents: its files one after another, the suites' pages first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pfl_bench.registry import METHODS as REGISTERED
from pfl_bench.results.report.page import plotting_library, render
from pfl_bench.spec.suite import builtin_suites

from .boards import SHOWN_COLUMNS, SHOWN_ROWS, board
from .documents import Document, lay, read_documents
from .findings import findings_of
from .pages import DOCUMENTS, FRONT, METHODS, PLOTLY, SCENARIOS, STYLE, Pages, style, thumbnail
from .scenarios import scenario_table
from .sources import Suites, is_board
from .standings import measure_of, standings


@dataclass
class Site:
    """``files``: what to write, text by place. ``notes``: what its reader will miss, a line each."""

    files: Iterator[tuple[str, str]]
    notes: list[str] = field(default_factory=list)


def build(suites: Suites, docs: Path | None) -> Site:
    """The site of these suites, and of a folder's documents if there is one. RequestError where that has no pages.

    ``notes`` is complete once ``files`` is at its end.
    """
    documents = read_documents(docs) if docs is not None else {}
    site = Site(iter(()))
    site.files = _files(suites, documents, site.notes)
    return site


def _files(suites: Suites, documents: Mapping[str, Document], notes: list[str]) -> Iterator[tuple[str, str]]:
    told = {name: suite.description for name, suite in builtin_suites().items()}
    boards = {name: board(name, told.get(name, ""), read()) for name, read in suites.items()}
    standing = standings(boards.values())
    offers = REGISTERED.offers()  # read without importing a method, where that is enough
    papers = {own.name: own.info.get("paper", "") for own in (REGISTERED if offers is None else offers)}
    found = {name: findings_of(own) for name, own in boards.items() if is_board(name)}
    told_of = {name: document for name, document in found.items() if document is not None}
    pages = Pages.of(list(suites), sorted(standing), list(documents), list(told_of))
    yield PLOTLY, plotting_library()
    yield STYLE, style()
    for name, own in boards.items():
        yield pages.suites[name], render(own.results, own.table, own.over_all, pages.within(pages.suites[name]))
        notes += [f"{name}: {problem.where} is left out: {problem.why}" for problem in own.results.problems]
    for name, document in told_of.items():
        place = pages.findings[name]
        shown = {"text": lay(document, place, {}).html, "listed": {}, "index": pages.suites[name], "up": name}
        yield place, pages.page("document.html.jinja", place, document.title, **shown)
    cards = {name: thumbnail(own, SHOWN_ROWS, SHOWN_COLUMNS) for name, own in boards.items()}
    yield FRONT, pages.page("front.html.jinja", FRONT, "Boards", boards=boards, cards=cards)
    tables = {name: scenario_table(own) for name, own in boards.items()}
    yield SCENARIOS, pages.page("scenarios.html.jinja", SCENARIOS, "Scenarios", boards=boards, tables=tables)
    index = _laid(documents, "methods/README.md", METHODS, pages, notes)
    measures = {name: measure_of(own) for name, own in boards.items()}
    yield (
        METHODS,
        pages.page("methods.html.jinja", METHODS, "Methods", standing=standing, measures=measures, index=index),
    )
    for name, place in pages.methods.items():
        text = _laid(documents, f"methods/{name}.md", place, pages, notes)
        yield (
            place,
            pages.page(
                "method.html.jinja", place, name, standing=standing.get(name), text=text, paper=papers.get(name, "")
            ),
        )
    yield from _documents(documents, pages, notes)


def _documents(documents: Mapping[str, Document], pages: Pages, notes: list[str]) -> Iterator[tuple[str, str]]:
    own = {place: document for place, document in documents.items() if "/" not in place}
    titles = {pages.documents[place]: document.title for place, document in own.items() if place != "README.md"}
    for place in {"README.md": None, **own} if own else {}:
        target, title = pages.documents[place], own[place].title if place in own else "Documentation"
        text = _laid(documents, place, target, pages, notes)
        listed = titles if place not in own else {}
        shown = {"text": text, "listed": listed, "index": DOCUMENTS, "up": "All pages of the documentation"}
        yield target, pages.page("document.html.jinja", target, title, **shown)


def _laid(documents: Mapping[str, Document], place: str, target: str, pages: Pages, notes: list[str]) -> str:
    """A document's HTML for its page, or "" where there is none."""
    if place not in documents:
        return ""
    laid = lay(documents[place], target, pages.documents, below=target == METHODS)
    notes += [f"{gone} is not in the site; it is text there" for gone in laid.leading_out]
    return laid.html
