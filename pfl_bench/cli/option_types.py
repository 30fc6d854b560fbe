"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from pfl_bench.files import expanded

Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", parser=expanded, metavar="PATH", help="Load a plug-in file. Repeatable."),
]
DataDir = Annotated[
    Path | None,
    typer.Option(parser=expanded, metavar="PATH", help="Where data sets lie; default $PFL_BENCH_DATA, else the cache."),
]
Out = Annotated[Path, typer.Option(parser=expanded, metavar="PATH", help="Folder of the results.")]
