"""The commands that read and write other frameworks' files, as the program has them."""

from pathlib import Path
from typing import Annotated

import typer

from pfl_bench.files import expanded

from .options import DataDir, Out, Plugins

Column = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="WHAT=COLUMN", help="Of a CSV file: scenario, method, accuracy, std. Repeatable."),
]


def add_data_doors(app: typer.Typer) -> None:
    """``data export`` and ``data import``."""
    app.command("export")(export_)
    app.command("import")(import_)


def add_results_doors(app: typer.Typer) -> None:
    """``results import``."""
    app.command("import")(import_results)


def export_(
    scenario: Annotated[str | None, typer.Argument(help="A scenario's id, or a glob on ids.")] = None,
    to: Annotated[str, typer.Option(help="pfllib, flower, fl-bench, npz or json.")] = "npz",
    suite: Annotated[str | None, typer.Option(help="Instead: the scenarios of a suite, by name or .toml file.")] = None,
    scenarios: Annotated[str | None, typer.Option(help="Of the suite: comma-separated globs on ids.")] = None,
    seeds: Annotated[str, typer.Option(help="For example 0-2: a folder for each.")] = "0",
    out: Annotated[Path, typer.Option(parser=expanded, metavar="PATH", help="Where the folders go.")] = Path(
        "exported"
    ),
    data_dir: DataDir = None,
    plugin: Plugins = None,
) -> int:
    """Write a scenario's data and who holds what in another framework's form."""
    from .doors import export_data

    return export_data(scenario, suite, scenarios, seeds, to, out, data_dir, plugin or [])


def import_(
    form: Annotated[str, typer.Argument(metavar="FORM", help="pfllib, flower, fl-bench, npz or json.")],
    folder: Annotated[Path, typer.Argument(parser=expanded, metavar="FOLDER", help="The folder of the data set.")],
    out: Annotated[Path, typer.Option(parser=expanded, metavar="PATH", help="A folder that is not there yet.")],
    plugin: Plugins = None,
) -> int:
    """Read another framework's folder, or an export of ours, into a data set and a suite file that run."""
    from .doors import import_data

    return import_data(form, folder, out, plugin or [])


def import_results(
    files: Annotated[
        list[Path], typer.Argument(parser=expanded, metavar="FILE...", help="PFLlib's .h5 files, or a CSV file.")
    ],
    suite: Annotated[str, typer.Option(help="The suite's name or file.")] = "quick",
    out: Out = Path("results"),
    scenario: Annotated[str | None, typer.Option(help="Which scenario the figures are beside.")] = None,
    method: Annotated[str | None, typer.Option(help="The method's name; default: as the file says.")] = None,
    column: Column = None,
    unit: Annotated[str, typer.Option(help="Of a CSV file's accuracies: percent or fraction.")] = "percent",
    figure: Annotated[str, typer.Option(help="Of a run's evaluations: best or last.")] = "best",
    source: Annotated[str | None, typer.Option(help="Where the figures are from, in a few words.")] = None,
) -> int:
    """Show somebody else's figures beside ours: never ranked, never averaged with ours, never tested."""
    from .imports import ImportRequest, import_figures

    request = ImportRequest(tuple(files), suite, out, scenario, method, tuple(column or ()), unit, figure, source)
    return import_figures(request)
