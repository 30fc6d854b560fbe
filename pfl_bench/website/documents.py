"""Markdown pages as pages of the site. Links between them lead to each other; what leads out of the site is named."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from pfl_bench.errors import RequestError
from pfl_bench.files import read_text
from pfl_bench.text import printable

from .places import link

INDEX, METHODS = "README.md", "methods"
"""The first page of a folder of documents, and the folder in it that has a page per method."""


@dataclass(frozen=True)
class Document:
    """A page: where it is in the folder (``methods/fedavg.md``), its first heading, and its Markdown."""

    place: str
    title: str
    text: str


@dataclass(frozen=True)
class Laid:
    """A document as HTML, and the links in it that lead to nothing in the site, which are text now."""

    html: Markup
    leading_out: tuple[str, ...]


def read_documents(folder: Path) -> dict[str, Document]:
    """The Markdown files of a folder and of its ``methods``, by place. RequestError where there are none."""
    files = [*sorted(folder.glob("*.md")), *sorted((folder / METHODS).glob("*.md"))]
    if not files:
        raise RequestError(f"--docs: {str(folder)!r} has no Markdown pages (*.md)")
    found = {}
    for file in files:
        place, text = file.relative_to(folder).as_posix(), read_text(file, "page")
        heading = re.search(r"^# +(.+)$", text, re.MULTILINE)
        found[place] = Document(place, printable(heading[1] if heading else file.stem).replace("`", ""), text)
    return found


def lay(document: Document, source: str, targets: Mapping[str, str], below: bool = False) -> Laid:
    """A document's HTML for the page at ``source``. ``targets``: by place of a document, its page. ``below``: whether
    the page has a heading already. Raw HTML is shown as text."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(document.text)
    _name_headings(tokens, below)
    leading_out = tuple(_lead(tokens, document.place, source, targets))
    html = parser.renderer.render(tokens, parser.options, {})
    scrolling = html.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace(
        "</table>", "</table></div>"
    )
    return Laid(Markup(scrolling), leading_out)


def _name_headings(tokens: list[Token], below: bool) -> None:
    """Anchors as hosts of repositories make them: the words in lower case, joined by hyphens. ``below``: each heading
    one level down."""
    seen: dict[str, int] = {}
    taken: set[str] = set()
    for token in tokens if below else ():
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open":
            words = "".join(child.content for child in content.children or ())
            name = re.sub(r"[^\w\- ]", "", words.lower()).strip().replace(" ", "-")
            own = name
            while own in taken:
                seen[name] = seen.get(name, 0) + 1
                own = f"{name}-{seen[name]}"
            taken.add(own)
            opening.attrSet("id", own)


def _lead(tokens: list[Token], place: str, source: str, targets: Mapping[str, str]) -> Iterator[str]:
    """Turn links to documents into links to their pages. Pictures, and links that lead out of the site, become text and
    are returned; addresses with a scheme and places within the page stay."""
    for token in tokens:
        open_: list[bool] = []
        for child in token.children or ():
            if child.type == "link_close" and not open_.pop():
                child.type, child.tag = "em_close", "em"
            elif child.type == "image":
                yield f"{place}: {printable(unquote(str(child.attrGet('src'))))}"
                child.type, child.tag, child.attrs = "text", "", {}
            elif child.type == "link_open":
                address = str(child.attrGet("href") or "")
                page = _page_of(address, place, source, targets)
                open_.append(page is not None)
                if page is not None:
                    child.attrSet("href", page)
                    continue
                yield f"{place}: {printable(unquote(address))}"
                child.type, child.tag, child.attrs = "em_open", "em", {}


def _page_of(address: str, place: str, source: str, targets: Mapping[str, str]) -> str | None:
    """Where an address leads from the page at ``source``; None if that is not in the site."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc or not parts.path:
        return address
    target = targets.get(posixpath.normpath(posixpath.join(posixpath.dirname(place), unquote(parts.path))))
    if target is None:
        return None
    return link(source, target) + (f"#{parts.fragment}" if parts.fragment else "")
