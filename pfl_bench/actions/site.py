"""A site of results and documents: the request, and what it takes to write it. Loads no torch."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pfl_bench.errors import RequestError, shown
from pfl_bench.results.places import suite_folders


@dataclass(frozen=True)
class SiteRequest:
    """``folder``: a suite's results, or those of several; without it the published ones of the package. ``docs``: a
    folder of Markdown pages that become part of the site."""

    folder: Path | None = None
    out: Path = Path("site")
    docs: Path | None = None


@dataclass(frozen=True)
class Site:
    """A site that was written: its first page, all its files, and what its readers will miss, a line each."""

    front: Path
    files: Sequence[Path]
    notes: Sequence[str]


def make_site(request: SiteRequest) -> Site:
    """Write the site. A wrong request is a RequestError, and nothing is written then."""
    if request.folder is not None:
        suite_folders(request.folder)
    if request.docs is not None and not os.path.isdir(request.docs):  # noqa: PTH112 (Path's own fails on a long name)
        raise RequestError(f"--docs: {shown(str(request.docs))} is no folder; name one of Markdown pages, such as docs")
    from pfl_bench.website.build import build  # loads pandas
    from pfl_bench.website.sources import suites_of
    from pfl_bench.website.writing import check_target, write_site

    check_target(request.out)
    made = build(suites_of(request.folder), request.docs)
    files = write_site(request.out, made.files)
    return Site(request.out / "index.html", files, made.notes)
