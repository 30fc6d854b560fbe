"""Links between the documents lead somewhere: files that are there, and headings by the names that GitHub gives them.

Of the built site: tests/pfl_bench/website/test_site.py.
"""

import re
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
PARSER = MarkdownIt("commonmark").enable("table")
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        *(ROOT / "results").glob("*.md"),
        *(ROOT / "results" / "published").glob("*/*.md"),
        *(ROOT / "results" / "board").rglob("*.md"),
    ]
)


def anchors_of(text: str) -> set[str]:
    """The names of a document's headings: lower case, punctuation dropped, hyphens for spaces, numbers for repeats."""
    found: set[str] = set(re.findall(r"""<a (?:id|name)=["']([^"']+)""", text))
    seen: Counter[str] = Counter()
    for opening, content in pairwise(PARSER.parse(text)):
        if opening.type == "heading_open":
            words = "".join(child.content for child in content.children or ())
            name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            found.add(f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1
    return found


def headings_of(text: str) -> set[str]:
    """The headings themselves, without marks."""
    return {
        "".join(child.content for child in content.children or ())
        for opening, content in pairwise(PARSER.parse(text))
        if opening.type == "heading_open"
    }


def links_of(text: str) -> list[str]:
    """The addresses that a document's links and pictures have."""
    children = [child for token in PARSER.parse(text) for child in token.children or ()]
    found = [child.attrGet("href" if child.type == "link_open" else "src") for child in children
             if child.type in ("link_open", "image")]  # fmt: skip
    return [str(address) for address in found]


@cache
def read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def dead(document: Path, text: str) -> list[str]:
    """The links of a document, and the documents and headings it names in words, that lead to nothing."""
    found = []
    for address in links_of(text):
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = (document.parent / unquote(parts.path)).resolve() if parts.path else document
        own = text if target == document else read(target) if target.suffix == ".md" and target.is_file() else ""
        if not target.exists() or (parts.fragment and unquote(parts.fragment) not in anchors_of(own)):
            found.append(address)
    for name, _, heading in re.findall(r"`((?:[\w-]+/)*[\w-]+\.md)`(,\s+\*([^*`]+)\*)?", text):
        places = [place for place in (document.parent / name, ROOT / name, ROOT / "docs" / name) if place.is_file()]
        heading = " ".join(heading.split())
        if places and heading and not any(heading in headings_of(read(place)) for place in places):
            found.append(f"{name}, {heading}")
        if not places and name not in MADE:
            found.append(name)
    return found


MADE = {"leaderboard.md", "findings.md", "README.md"}
"""What commands write, and what every folder may have."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_and_anchor_leads_somewhere(document):
    assert dead(document, read(document)) == []


def test_what_leads_nowhere_is_found(tmp_path):
    text = (
        "# One `--two`, three\n\n# Same\n\n# Same\n[a](#one---two-three) [b](#same-1) [c](#same-2) [d](x.md) [e](#)\n"
    )
    text += "\n```\n[no link](y.md)\n```\n`CONTRIBUTING.md`, *No such\nheading*, `docs/nothing.md`, `CONTRIBUTING.md`\n"
    (tmp_path / "a.md").write_text(text)
    assert dead(tmp_path / "a.md", text) == ["#same-2", "x.md", "CONTRIBUTING.md, No such heading", "docs/nothing.md"]


def test_documents_are_found():
    names = {path.name for path in DOCUMENTS}
    assert {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "own_data.md", "leaderboard.md"} <= names
