"""Sites to look at, and what is in their pages."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tests.ledgers import full_folder, record, save

DOCS = {
    "README.md": "# Documents\n\n[First](first.md#a-heading), [Ditto](methods/ditto.md), [all](methods/README.md).\n",
    "first.md": "# First steps\n\n## A `heading`\n\n| a | b |\n|---|---|\n| <b>1</b> | [out](../LICENSE) |\n\n"
    "[there](https://example.org) ![picture](https://example.org/p.png)\n",
    "submitting.md": "# Submitting\n\n[back](README.md)\n",
    "methods/README.md": "# Methods\n\n[ditto](ditto.md)\n",
    "methods/ditto.md": "# ditto\n\n[index](README.md), [first](../first.md)\n",
    "methods/other.md": "# other\n",
}


def write_docs(folder: Path) -> Path:
    for place, text in DOCS.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")
    return folder


def results(folder: Path) -> Path:
    """Two suites, one of them a board, and trials."""
    full_folder(folder / "two", scenarios=("sc-v1", "other-v1"), seeds=3)
    full_folder(folder / "board-v2", seeds=2)
    full_folder(folder / "two-tuning", seeds=1)
    return folder


def unfinished(ledger, reason='<script>alert("x")</script>'):
    save(ledger, record("pfedme", 0, status="failed", reason=reason))


class Page(HTMLParser):
    """``links``: what anchors, style sheets and scripts name; ``ids``: what can be pointed at; ``rows``: entries."""

    def __init__(self, file: Path):
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.entries: set[str] = set()
        self.scenarios: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        own = dict(attrs)
        self.links += [own[name] for name in ("href", "src") if own.get(name)]
        self.ids |= {own["id"]} if "id" in own else set()
        self.entries |= {own["data-entry"]} if own.get("data-entry") else set()
        self.scenarios |= {own["data-scenario"]} if own.get("data-scenario") else set()


def dead_links(site: Path) -> list[str]:
    """Links of the site's pages that lead to no file, or to no place in it."""
    pages = {file.resolve(): Page(file) for file in site.rglob("*.html")}
    dead = []
    for file, page in pages.items():
        for address in page.links:
            parts = urlsplit(address)
            if parts.scheme in ("data", "https"):
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if parts.scheme or not target.is_file() or (parts.fragment and not there(pages[target], parts.fragment)):
                dead.append(f"{file.name}: {address}")
    return dead


def there(page: Page, fragment: str) -> bool:
    if fragment in page.ids:
        return True
    asked = parse_qs(fragment)
    return (
        bool(asked)
        and set(asked.get("method", [])) <= page.entries
        and set(asked.get("scenario", [])) <= page.scenarios
    )
