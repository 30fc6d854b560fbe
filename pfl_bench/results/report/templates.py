"""How pages are made of templates: everything is escaped, nothing hidden gets through, and no name is missing."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup

from pfl_bench.results.matrix import cell_text
from pfl_bench.text import printable


def environment(read: Callable[[str], str]) -> jinja2.Environment:
    """Templates by name, which ``read`` reads, and the filters that they may use."""
    found = jinja2.Environment(
        loader=jinja2.FunctionLoader(read), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined, finalize=_finalize,
    )  # fmt: skip
    found.filters |= {"breakable": breakable, "place": place, "cell_text": cell_text}
    return found


def _finalize(value: Any) -> Any:
    """What is shown has nothing hidden in it; our own style and scripts are as they are."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def breakable(text: str) -> Markup:
    """A long name that may break behind its hyphens and underscores."""
    return Markup("<wbr>").join(re.split(r"(?<=[-_@+])", printable(text)))


def place(entry: str, scenario: str = "") -> str:
    """The permanent link to a scenario's row of an entry, or to the entry. JavaScript reads it as a query."""
    asked_for = {"scenario": scenario, "method": entry}
    return "#" + urlencode({key: value for key, value in asked_for.items() if value}, errors="replace")
