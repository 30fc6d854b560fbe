"""Options that several commands take, in the same words."""

from pathlib import Path
from typing import Annotated

import typer

from pfl_bench.files import expanded

from .numbers import number, whole, whole_or_auto

Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", parser=expanded, metavar="PATH", help="Load a plug-in file. Repeatable."),
]
DataDir = Annotated[
    Path | None,
    typer.Option(parser=expanded, metavar="PATH", help="Where data sets lie; default $PFL_BENCH_DATA, else the cache."),
]
Out = Annotated[Path, typer.Option(parser=expanded, metavar="PATH", help="Folder of the results.")]
Methods = Annotated[str | None, typer.Option(help="'all' or a comma-separated list.")]
SuiteName = Annotated[str | None, typer.Option(help="A suite by name, or a .toml file.")]
Scenarios = Annotated[str | None, typer.Option(help="Comma-separated globs on scenario ids.")]
Seeds = Annotated[str | None, typer.Option(help="For example 0-2 or 0,3,7.")]
Executor = Annotated[str, typer.Option(help="ray, serial or auto: ray where it is installed.")]
Workers = Annotated[
    int | None, typer.Option(parser=whole(1, 10_000), metavar="N", help="Runs at a time; default: one per core.")
]
Address = Annotated[str | None, typer.Option(help="HOST:PORT of a Ray cluster, or auto.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Backend = Annotated[str, typer.Option(help="auto, loop, vmap, lockstep or graph.")]
Lockstep = Annotated[
    int | None,
    typer.Option(
        parser=whole_or_auto(1, 64), metavar="N",
        help="Train so many runs of a method and scenario as one batch; 1: none; default: auto, what pays.",
    ),
]  # fmt: skip
State = Annotated[str, typer.Option(help="Personal state of the clients: memory or disk.")]
Precision = Annotated[str | None, typer.Option(help="fp32 or bf16; default: the scenario's.")]
BudgetScale = Annotated[float, typer.Option(parser=number, metavar="NUMBER", help="Multiply the client visits.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="METHOD.FIELD=VALUE. Repeatable.")]
Tuned = Annotated[
    list[Path] | None,
    typer.Option(
        "--tuned", parser=expanded, metavar="FILE",
        help="Hyper-parameters that tune or analyse transfer chose: tuned.toml, transferred.toml. Repeatable.",
    ),
]  # fmt: skip
Folder = Annotated[
    Path, typer.Argument(parser=expanded, metavar="FOLDER", help="A suite's results folder, such as results/quick.")
]
