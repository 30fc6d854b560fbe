"""The program: its commands, and errors as one line."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from pfl_bench.commands import WRONG, exit_status, refuse
from pfl_bench.errors import RequestError
from pfl_bench.files import expanded

from .doors_app import add_data_doors, add_results_doors
from .numbers import number, whole, whole_or_auto
from .option_types import DataDir, Out, Plugins
from .signals import ending


class _Interrupted(BaseException):
    """A KeyboardInterrupt on its way past the parser, which would keep nothing of it but status 130."""

    def __init__(self, interruption: KeyboardInterrupt) -> None:
        super().__init__(interruption)
        self.interruption = interruption


class _Heard:
    """Commands whose interruption, while arguments are read or work is done, passes the parser."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the arguments."""
        with _carried():
            return super().make_context(*args, **kwargs)  # type: ignore[misc]

    def invoke(self, ctx: Any) -> Any:
        """Do the work."""
        with _carried():
            return super().invoke(ctx)  # type: ignore[misc]


class Command(_Heard, typer.core.TyperCommand):
    """A program's only command."""


class _Commands(_Heard, typer.core.TyperGroup):
    pass


@contextmanager
def _carried() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interruption:
        raise _Interrupted(interruption) from interruption


app = typer.Typer(
    cls=_Commands,
    help="Benchmark suite for personalized federated learning.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Fetch, check, export and import data sets.", no_args_is_help=True)
results_app = typer.Typer(help="Bring results in.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(results_app, name="results")
add_data_doors(data_app)
add_results_doors(results_app)

Lockstep = Annotated[
    int | None,
    typer.Option(
        parser=whole_or_auto(1, 64), metavar="N",
        help="Train so many runs of a method and scenario as one batch; 1: none; default: auto, what pays.",
    ),
]  # fmt: skip


@app.command()
def run(
    methods: Annotated[str | None, typer.Option(help="'all' or a comma-separated list.")] = None,
    suite: Annotated[str | None, typer.Option(help="A suite by name, or a .toml file.")] = None,
    scenarios: Annotated[str | None, typer.Option(help="Comma-separated globs on scenario ids.")] = None,
    seeds: Annotated[str | None, typer.Option(help="For example 0-2 or 0,3,7.")] = None,
    out: Out = Path("results"),
    executor: Annotated[str, typer.Option(help="ray or serial.")] = "ray",
    workers: Annotated[
        int | None, typer.Option(parser=whole(1, 10_000), metavar="N", help="Runs at a time; default: one per core.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="HOST:PORT of a Ray cluster, or auto.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    backend: Annotated[str, typer.Option(help="auto, loop, vmap, lockstep or graph.")] = "auto",
    lockstep: Lockstep = None,
    state: Annotated[str, typer.Option(help="Personal state of the clients: memory or disk.")] = "memory",
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    budget_scale: Annotated[
        float, typer.Option(parser=number, metavar="NUMBER", help="Multiply the client visits.")
    ] = 1.0,
    data_dir: DataDir = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="METHOD.FIELD=VALUE. Repeatable.")] = None,
    plugin: Plugins = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Repeat finished runs.")] = False,
    track: Annotated[str, typer.Option(help="Comma-separated trackers to feed: tensorboard, mlflow.")] = "",
    in_process: Annotated[
        bool, typer.Option("--in-process", help="To debug a plug-in: serial, without a process of its own.")
    ] = False,
) -> int:
    """Run methods on scenarios; without options the suite quick with every method and three seeds."""
    from pfl_bench.registry import load_plugins

    from .request import RunRequest, check_means, read_request

    request = RunRequest(
        methods, suite, scenarios, seeds, out, executor, workers, address, device, backend, lockstep, state, precision,
        budget_scale, data_dir, tuple(set_ or ()), tuple(plugin or ()), fresh,
        tuple(name.strip() for name in track.split(",")) if track else (), in_process,
    )  # fmt: skip
    check_means(request)
    plugins = load_plugins(request.plugins)
    wanted = read_request(request)
    from .run import run_request  # loads torch

    return run_request(request, wanted, plugins)


@app.command("list")
def list_(
    what: Annotated[
        str,
        typer.Argument(
            help="methods, datasets, partitions, quantity, shifts, availability, models, metrics, fields (of a "
            "scenario), scenarios or suites."
        ),
    ],
    plugin: Plugins = None,
) -> int:
    """Show what there is, and what it can be told."""
    from .list import list_things

    return list_things(what, plugin or [])


@app.command()
def leaderboard(
    suite: Annotated[str, typer.Option(help="The suite's name or file.")] = "quick",
    out: Out = Path("results"),
    format: Annotated[str, typer.Option(help="Comma-separated: csv, md, tex, html.")] = "csv",
) -> int:
    """Rebuild a suite's leaderboard from its finished runs."""
    from .leaderboard import rebuild

    return rebuild(suite, out, format)


@app.command()
def compare(
    before: Annotated[
        Path, typer.Argument(parser=expanded, metavar="BEFORE", help="A suite's results folder, such as results/quick.")
    ],
    after: Annotated[Path, typer.Argument(parser=expanded, metavar="AFTER", help="Another one.")],
) -> int:
    """Which cells of two results folders differ, and beyond noise or not; exit status 1 if something got worse."""
    from .compare import compare_folders

    return compare_folders(before, after)


@app.command()
def check(
    method: Annotated[str | None, typer.Argument(help="A method's name, or all.")] = None,
    model: Annotated[str | None, typer.Option(help="A client model's name, or all, instead of a method.")] = None,
    data: Annotated[str | None, typer.Option(help="The data set to examine client models on.")] = None,
    plugin: Plugins = None,
) -> int:
    """Test whether a method is a fair entrant, or whether a client model does what it must."""
    from .check import check_things

    return check_things(method, model, data, plugin or [])


@data_app.command()
def prepare(name: str, data_dir: DataDir = None, plugin: Plugins = None) -> int:
    """Fetch a data set, unless it is there already."""
    from .data import prepare_dataset

    return prepare_dataset(name, data_dir, plugin or [])


@data_app.command()
def verify(name: str, data_dir: DataDir = None, plugin: Plugins = None) -> int:
    """Check a data set's file and its SHA-256; fetches nothing."""
    from .data import verify_dataset

    return verify_dataset(name, data_dir, plugin or [])


def run_command_line(arguments: Sequence[str]) -> int:
    """Execute one command and return its exit status; a wrong request becomes one line on stderr and 2."""
    return run_program(app, arguments, "pfl-bench")


def run_program(program: typer.Typer, arguments: Sequence[str], name: str) -> int:
    """As ``run_command_line``, for any program; its parser's complaints are wrong requests like others."""

    def work() -> object:
        try:
            return _parse_and_run(program, arguments, name)
        except (_Interrupted, KeyboardInterrupt, typer.Abort) as error:
            own = error.interruption if isinstance(error, _Interrupted) else error
            status, line = ending(own if isinstance(own, KeyboardInterrupt) else KeyboardInterrupt())
            return refuse(line, status, kind="")

    return exit_status(work)


def _parse_and_run(program: typer.Typer, arguments: Sequence[str], name: str) -> object:
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise RequestError("the working directory is not there any more; change to one that is") from error
    try:
        command = typer.main.get_command(program)
        return command.main(args=list(arguments), prog_name=name, standalone_mode=False)
    except typer.Exit as stop:
        return stop.exit_code
    except Exception as error:
        if not hasattr(error, "format_message"):  # not a complaint of the command-line parser
            raise
        if message := error.format_message():
            raise RequestError(message) from error
        return WRONG  # it has shown the help
