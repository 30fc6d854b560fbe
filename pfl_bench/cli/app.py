"""The program: which commands there are, and what each takes. What it does is in the module of its name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pfl_bench import __version__
from pfl_bench.actions.request import RunRequest
from pfl_bench.files import expanded

from . import options as o
from .groups import analyse_app, data_app, results_app
from .numbers import whole
from .program import Commands, run_program
from .publishing import add_publishing

app = typer.Typer(
    cls=Commands,
    help="Benchmark suite for personalized federated learning.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
app.add_typer(analyse_app, name="analyse")
app.add_typer(results_app, name="results")


def _say_version(asked: bool) -> None:
    if asked:
        print(f"pfl-bench {__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Benchmark suite for personalized federated learning."""


@app.command()
def run(
    methods: o.Methods = None,
    suite: o.SuiteName = None,
    scenarios: o.Scenarios = None,
    seeds: o.Seeds = None,
    out: o.Out = Path("results"),
    executor: o.Executor = "auto",
    workers: o.Workers = None,
    address: o.Address = None,
    device: o.Device = "auto",
    backend: o.Backend = "auto",
    lockstep: o.Lockstep = None,
    state: o.State = "memory",
    precision: o.Precision = None,
    budget_scale: o.BudgetScale = 1.0,
    data_dir: o.DataDir = None,
    set_: o.Settings = None,
    tuned: o.Tuned = None,
    plugin: o.Plugins = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Repeat finished runs.")] = False,
    track: Annotated[str, typer.Option(help="Comma-separated trackers to feed: tensorboard, mlflow.")] = "",
    in_process: Annotated[
        bool, typer.Option("--in-process", help="To debug a plug-in: serial, without a process of its own.")
    ] = False,
    keep_models: Annotated[
        bool, typer.Option("--keep-models", help="Keep the clients' models of the end of every run.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Whether to wait for runs that other drivers are computing.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many runs, hours and gigabytes it would be, and end.")
    ] = False,
) -> int:
    """Run methods on scenarios; without options the suite quick with every method and three seeds."""
    from pfl_bench.actions.request import resolve

    request = RunRequest(
        methods, suite, scenarios, seeds, out, executor, workers, address, device, backend, lockstep, state, precision,
        budget_scale, data_dir, tuple(set_ or ()), tuple(tuned or ()), tuple(plugin or ()), fresh,
        tuple(name.strip() for name in track.split(",")) if track else (), in_process, keep_models, wait,
    )  # fmt: skip
    wanted, plugins = resolve(request)
    if dry_run:
        from .estimate import estimate_request

        return estimate_request(request, wanted, plugins)
    from .run import run_request  # loads torch

    return run_request(request, wanted, plugins)


@app.command()
def estimate(
    methods: o.Methods = None,
    suite: o.SuiteName = None,
    scenarios: o.Scenarios = None,
    seeds: o.Seeds = None,
    out: o.Out = Path("results"),
    executor: o.Executor = "auto",
    workers: o.Workers = None,
    device: o.Device = "auto",
    backend: o.Backend = "auto",
    precision: o.Precision = None,
    budget_scale: o.BudgetScale = 1.0,
    data_dir: o.DataDir = None,
    set_: o.Settings = None,
    tuned: o.Tuned = None,
    plugin: o.Plugins = None,
    keep_models: Annotated[bool, typer.Option("--keep-models", help="As in `run`.")] = False,
) -> int:
    """How many runs, hours and gigabytes `run` with these options would take, from a short measurement."""
    from pfl_bench.actions.request import resolve

    request = RunRequest(
        methods, suite, scenarios, seeds, out, executor, workers, device=device, backend=backend, precision=precision,
        budget_scale=budget_scale, data_dir=data_dir, settings=tuple(set_ or ()), tuned=tuple(tuned or ()),
        plugins=tuple(plugin or ()), keep_models=keep_models,
    )  # fmt: skip
    wanted, plugins = resolve(request)
    from .estimate import estimate_request  # loads torch

    return estimate_request(request, wanted, plugins)


@app.command()
def tune(
    suite: Annotated[list[str], typer.Argument(metavar="SUITE...", help="Suites by name, or .toml files.")],
    methods: Annotated[str | None, typer.Option(help="Default: the suite's.")] = None,
    scenarios: Annotated[str | None, typer.Option(help="Comma-separated globs. Default: a suite's first.")] = None,
    trials: Annotated[int, typer.Option(parser=whole(1, 10_000), metavar="N", help="Per method and scenario.")] = 8,
    seeds: Annotated[str, typer.Option(help="As in `run`; none of the suite's own.")] = "1000-1002",
    out: o.Out = Path("results"),
    budget_scale: o.BudgetScale = 1.0,
    precision: o.Precision = None,
    executor: o.Executor = "auto",
    workers: o.Workers = None,
    address: o.Address = None,
    device: o.Device = "auto",
    lockstep: o.Lockstep = None,
    data_dir: o.DataDir = None,
    plugin: o.Plugins = None,
    known: Annotated[
        Path | None,
        typer.Option(parser=expanded, metavar="FILE", help="A tuning.csv: trials that others ran are not run again."),
    ] = None,
) -> int:
    """Tune every method of one or more suites with the same number of trials; prints and keeps the choices as TOML."""
    from pfl_bench.actions.tune_request import TuneRequest, resolve_tuning

    request = TuneRequest(
        tuple(suite), methods, scenarios, trials, seeds, out, budget_scale, precision, executor, workers, address,
        device, lockstep, data_dir, tuple(plugin or ()), known,
    )  # fmt: skip
    wanted, plugins = resolve_tuning(request)
    from .tune import tune_request  # loads torch

    return tune_request(request, wanted, plugins)


@app.command("list")
def list_(
    what: Annotated[
        str,
        typer.Argument(
            help="methods, datasets, partitions, quantity, shifts, availability, models, metrics, fields (of a "
            "scenario), scenarios or suites."
        ),
    ],
    plugin: o.Plugins = None,
) -> int:
    """Show what there is, and what it can be told."""
    from .list import list_things

    return list_things(what, plugin or [])


@app.command()
def leaderboard(
    suite: Annotated[str, typer.Option(help="The suite's name or file.")] = "quick",
    out: o.Out = Path("results"),
    format: Annotated[str, typer.Option(help="Comma-separated: csv, md, tex, html, svg, pdf.")] = "csv",
) -> int:
    """Rebuild a suite's leaderboard from its finished runs."""
    from .leaderboard import rebuild

    return rebuild(suite, out, format)


@app.command()
def compare(
    before: Annotated[
        Path,
        typer.Argument(parser=expanded, metavar="BEFORE", help="A suite's results folder, or one of several suites."),
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
    plugin: o.Plugins = None,
    debug: Annotated[
        bool, typer.Option("--pdb", help="Look at the first failure in Python's debugger, and end there.")
    ] = False,
) -> int:
    """Test whether a method is a fair entrant, or whether a client model does what it must."""
    from .check import check_things

    return check_things(method, model, data, plugin or [], debug)


add_publishing(app)


def run_command_line(arguments: Sequence[str]) -> int:
    """Execute one command and return its exit status; a wrong request becomes one line on stderr and 2."""
    return run_program(app, arguments, "pfl-bench")
