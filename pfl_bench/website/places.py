"""Where the pages of a site are, and how they lead to each other: relative, so that they open from disk."""

import posixpath
import re
from collections.abc import Iterable
from urllib.parse import quote, urlencode

LONGEST = 100


def file_names(names: Iterable[str], ending: str = ".html") -> dict[str, str]:
    """By name, a file's name that every system takes and that no other name has, whatever the case of its letters."""
    found: dict[str, str] = {}
    taken: set[str] = {f"index{ending}"}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9._+@-]", "_", name)[:LONGEST].strip(".") or "_"
        own, number = f"{plain}{ending}", 1
        while own.lower() in taken:
            number += 1
            own = f"{plain}-{number}{ending}"
        taken.add(own.lower())
        found[name] = own
    return found


def link(source: str, target: str, **at: str) -> str:
    """What a page at ``source`` writes to lead to ``target``; ``at``: the place on a suite's page, ``scenario`` and
    ``method``, as the page's own script reads it."""
    path = quote(posixpath.relpath(target, posixpath.dirname(source) or "."))
    place = urlencode({key: value for key, value in at.items() if value}, errors="replace")
    return f"{path}#{place}" if place else path
