"""The commands that come in groups: ``data``, ``analyse`` and ``results``."""

from pathlib import Path
from typing import Annotated

import typer

from pfl_bench.files import expanded

from . import options as o
from .doors_app import add_data_doors, add_results_doors
from .numbers import whole

data_app = typer.Typer(help="Fetch, check, export and import data sets.", no_args_is_help=True)
analyse_app = typer.Typer(help="What a suite shows beyond its leaderboard.", no_args_is_help=True)
results_app = typer.Typer(help="Bring results together or in, and examine them.", no_args_is_help=True)

HeldOutBy = Annotated[
    str | None,
    typer.Option("--suite", metavar="FILE", help="The suite's .toml, where it is your own and holds scenarios out."),
]

add_data_doors(data_app)
add_results_doors(results_app)


@data_app.command()
def prepare(name: str, data_dir: o.DataDir = None, plugin: o.Plugins = None) -> int:
    """Fetch a data set, unless it is there already."""
    from .data import prepare_dataset

    return prepare_dataset(name, data_dir, plugin or [])


@data_app.command()
def verify(name: str, data_dir: o.DataDir = None, plugin: o.Plugins = None) -> int:
    """Check a data set's file and its SHA-256; fetches nothing."""
    from .data import verify_dataset

    return verify_dataset(name, data_dir, plugin or [])


def _analysis(name: str, summary: str) -> None:
    """An analysis as a command of its name."""

    def analyse(folder: o.Folder) -> int:
        from .analyse import analyse_folder

        return analyse_folder(name, folder)

    analyse_app.command(name, help=summary)(analyse)


_analysis("novel", "How much worse are clients served that were never seen in training?")
_analysis("communication", "Accuracy against bytes moved.")
_analysis("embeddings", "Do embeddings know which clients are alike?")
_analysis("claims", "Which of the paper's claims about orders hold.")
_analysis("curves", "Pictures of the learning curves.")
_analysis("clusters", "Do methods that sort clients find those that are alike?")


@analyse_app.command("board")
def analyse_board(
    folder: o.Folder,
    out: Annotated[
        Path | None,
        typer.Option(parser=expanded, metavar="PATH", help="Where it goes. Default: the folder board in FOLDER."),
    ] = None,
    suite: HeldOutBy = None,
) -> int:
    """Who is ahead over many scenarios, when, for whom, at what cost: tables, and findings in words."""
    from .analyse import analyse_folder

    return analyse_folder("board", folder, out=out, suite=suite)


@analyse_app.command("transfer")
def analyse_transfer(folder: o.Folder, suite: HeldOutBy = None) -> int:
    """One setting per method for the scenarios that nobody tuned on; FOLDER is the tuning's."""
    from .analyse import analyse_folder

    return analyse_folder("transfer", folder, suite=suite)


@results_app.command()
def merge(
    sources: Annotated[
        list[Path],
        typer.Argument(parser=expanded, metavar="SOURCE...", help="Results folders, of one suite or several."),
    ],
    into: Annotated[Path, typer.Option(parser=expanded, metavar="PATH", help="The folder that receives their runs.")],
) -> int:
    """Copy runs of other results folders into one; what clashes is named and left out. Status 1 if anything was."""
    from .results import merge_folders

    return merge_folders(sources, into)


@results_app.command()
def pack(
    folder: o.Folder,
    into: Annotated[
        Path,
        typer.Option(parser=expanded, metavar="PATH", help="The suite's folder that receives them, in one file."),
    ],
) -> int:
    """Write ended runs into one small file that tables and reports are made from: to publish thousands of runs."""
    from .results import pack_folder

    return pack_folder(folder, into)


@results_app.command()
def validate(
    folder: Annotated[
        Path, typer.Argument(parser=expanded, metavar="FOLDER", help="A suite's results folder, or one of several.")
    ],
    recompute: Annotated[
        int, typer.Option(parser=whole(0, 1000), metavar="N", help="Compute so many runs again, the shortest.")
    ] = 1,
    data_dir: o.DataDir = None,
    plugin: o.Plugins = None,
) -> int:
    """Examine results: hashes, budgets, the methods' conformance, and a run computed again. Status 1 if any fails."""
    from .results import validate_folder

    return validate_folder(folder, recompute, data_dir, plugin or [])
