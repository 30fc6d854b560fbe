"""The commands that make pages for others to read, as the program has them."""

from pathlib import Path
from typing import Annotated

import typer

from pfl_bench.files import expanded


def add_publishing(app: typer.Typer) -> None:
    """``pages`` and ``site``."""
    app.command("pages")(pages)
    app.command("site")(site)


def pages(
    folder: Annotated[
        Path, typer.Argument(parser=expanded, metavar="FOLDER", help="Where they are to lie, such as docs/methods.")
    ],
    suite_reference: Annotated[
        Path | None,
        typer.Option(parser=expanded, metavar="FILE", help="Also every field of a suite's file, as a page."),
    ] = None,
) -> int:
    """Write a page per method and an index, from the project's root: what is sent is measured, what pins it found."""
    from .pages import write_pages

    return write_pages(folder, suite_reference)


def site(
    folder: Annotated[
        Path | None,
        typer.Argument(
            parser=expanded,
            metavar="[FOLDER]",
            help="A suite's results folder, or one of several. Without it the results that the package ships.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(parser=expanded, metavar="PATH", help="Where the site goes.")] = Path("site"),
    docs: Annotated[
        Path | None, typer.Option(parser=expanded, metavar="PATH", help="A folder of Markdown pages to be part of it.")
    ] = None,
) -> int:
    """Make a static site of results: boards, methods, scenarios, documents. It works from disk and fetches nothing."""
    from pfl_bench.actions.site import SiteRequest

    from .site import write_site

    return write_site(SiteRequest(folder, out, docs))
