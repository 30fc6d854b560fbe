"""The site's pages as text: a frame with links to the others, and what stands in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from typing import Any

import jinja2

from pfl_bench.results.report.page import FOLDER, STYLES, Within
from pfl_bench.results.report.templates import environment

from .boards import Board
from .places import file_names, link

TEMPLATES = resources.files("pfl_bench.website").joinpath("templates")
FRONT, METHODS, SCENARIOS, DOCUMENTS = "index.html", "methods/index.html", "scenarios.html", "docs/index.html"
SUBMITTING = "submitting.md"
PLOTLY, STYLE = "assets/plotly.min.js", "assets/site.css"


@dataclass(frozen=True)
class Pages:
    """Where everything is: suites, what boards among them found, and methods by name, documents by their place in
    their folder."""

    suites: Mapping[str, str]
    methods: Mapping[str, str]
    documents: Mapping[str, str]
    findings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, suites: Sequence[str], methods: Sequence[str], documents: Sequence[str], boards: Sequence[str] = ()
    ) -> "Pages":
        """Of their names; ``boards``: the suites that have a page of findings. A document below ``methods`` is its
        method's page, or the index of methods."""
        own = [place for place in documents if "/" not in place]
        plain = file_names([place.removesuffix(".md") for place in own if place != "README.md"])
        described = [place.rpartition("/")[2].removesuffix(".md") for place in documents if "/" in place]
        names = file_names(dict.fromkeys([*methods, *(name for name in described if name != "README")]))
        found = {place: f"docs/{plain[place.removesuffix('.md')]}" for place in own if place != "README.md"}
        found |= {f"methods/{name}.md": f"methods/{names[name]}" for name in described if name != "README"}
        found |= {"README.md": DOCUMENTS} if own else {}
        return cls(
            {name: f"suites/{file}" for name, file in file_names(suites).items()},
            {name: f"methods/{file}" for name, file in names.items()},
            {**found, "methods/README.md": METHODS},
            {name: f"findings/{file}" for name, file in file_names(boards).items()},
        )

    def links(self, source: str) -> dict[str, str]:
        """What every page leads to, by title."""
        found = {"Boards": FRONT, "Methods": METHODS, "Scenarios": SCENARIOS}
        found |= {"Documentation": DOCUMENTS} if "README.md" in self.documents else {}
        found |= {"How to submit": self.documents[SUBMITTING]} if SUBMITTING in self.documents else {}
        return {title: link(source, target) for title, target in found.items()}

    def within(self, source: str) -> Within:
        """What a suite's page must know of the site."""
        return Within(link(source, PLOTLY), self.links(source))

    def page(self, template: str, source: str, title: str, **values: Any) -> str:
        """A page at ``source`` in the frame that all have in common."""
        return self._environment.get_template(template).render(
            title=title,
            source=source,
            links=self.links(source),
            style=link(source, STYLE),
            to=lambda target, **at: link(source, target, **at),
            pages=self,
            **values,
        )

    @cached_property
    def _environment(self) -> jinja2.Environment:
        return environment(lambda name: TEMPLATES.joinpath(name).read_text(encoding="utf-8"))


def style() -> str:
    """The style sheet of all pages but the suites'."""
    colours = FOLDER.joinpath(STYLES[0]).read_text(encoding="utf-8")
    return colours + TEMPLATES.joinpath("site.css").read_text(encoding="utf-8")


def thumbnail(board: Board, rows: int, columns: int) -> dict[str, Any]:
    """The best rows and the first columns of a suite's matrix, and how many more there are."""
    shown = board.matrix.counting[:columns]
    return {
        "columns": shown,
        "rows": board.matrix.rows[:rows],
        "more": (len(board.matrix.rows) - rows, len(board.matrix.counting) - len(shown)),
        "one": len(board.matrix.counting) == 1,
    }
