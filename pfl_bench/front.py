"""The Python API: ``import pfl_bench as pfl``.

    results = pfl.run("quick", methods=["fedavg", "ditto"], seeds=range(3))
    results.leaderboard()
    results.plot()

Everything is what the command line does: the same ledger, so that a call goes on from where another one, or a command,
has stopped; the same checks, before anything is written. A wrong request is a ``RequestError``, one line. Torch is
loaded by what computes, not by what reads results.
"""

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from pfl_bench.actions.words import Names, Seeds, as_names, as_path, as_paths, as_seeds, as_settings, as_suites
from pfl_bench.errors import RequestError
from pfl_bench.files import expanded
from pfl_bench.front_splits import client_tensors, export_split, import_split, make_split, read_split
from pfl_bench.front_splits import report_of as report_of
from pfl_bench.front_splits import summary_of as summary_of
from pfl_bench.results.loaded import Results
from pfl_bench.results.loaded import load as _load
from pfl_bench.results.loaded import published as _published

if TYPE_CHECKING:
    from torch import nn

    from pfl_bench.actions.estimate import Estimate
    from pfl_bench.actions.site import Site
    from pfl_bench.actions.tune import Tuning
    from pfl_bench.running.watching import Watch

__all__ = [
    "RequestError", "Results", "client_tensors", "estimate", "export_split", "import_split", "load", "load_model",
    "make_split", "published", "read_split", "report_of", "run", "site", "summary_of", "tune",
]  # fmt: skip

Folder = str | Path


def run(
    suite: Folder | None = None,
    *,
    methods: Names = None,
    scenarios: Names = None,
    seeds: Seeds = None,
    out: Folder = "results",
    executor: str = "auto",
    workers: int | None = None,
    address: str | None = None,
    device: str = "auto",
    backend: str = "auto",
    lockstep: int | None = None,
    state: str = "memory",
    precision: str | None = None,
    budget_scale: float = 1.0,
    data_dir: Folder | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    tuned: Sequence[Folder] = (),
    plugins: Sequence[Folder] = (),
    fresh: bool = False,
    track: Sequence[str] = (),
    keep_models: bool = False,
    wait: bool = True,
    progress: bool = True,
) -> Results:
    """Run methods on scenarios, all that ``<out>/<suite>`` does not have yet, and return the results of those runs.

    ``suite``: a suite by name or a ``.toml`` file; by default ``quick``, or no suite where ``scenarios`` are given
    (globs on scenario ids). ``methods``, ``seeds``: by default the suite's. ``settings``: hyper-parameters by method,
    as in ``{"fedavg": {"lr": 0.1}}``; ``tuned``: files of what ``tune`` chose. ``plugins``: files that register
    methods, data, models and the like. ``progress``: whether bars (on a terminal and in a notebook with ipywidgets) or
    lines tell how far it is. The other options are those of ``pfl-bench run``.

    What failed is in ``Results.failed``; it does not raise. Ctrl-C, or a notebook's stop button, lets the runs write
    checkpoints and raises KeyboardInterrupt; the same call goes on from there.
    """
    from .actions.request import RunRequest, resolve

    request = RunRequest(
        methods=as_names(methods), suite=None if suite is None else str(suite), scenarios=as_names(scenarios),
        seeds=as_seeds(seeds), out=expanded(out), executor=executor, workers=workers, address=address, device=device,
        backend=backend, lockstep=lockstep, state=state, precision=precision, budget_scale=float(budget_scale),
        data_dir=as_path(data_dir), settings=as_settings(settings or {}),
        tuned=as_paths(tuned), plugins=as_paths(plugins), fresh=fresh, trackers=tuple(track),
        keep_models=keep_models, wait=wait,
    )  # fmt: skip
    wanted, loaded = resolve(request)
    from .actions.run import absences, compute, prepare
    from .results.loaded import frames_of, with_tracebacks
    from .results.notes import left_out

    prepared = prepare(request, wanted, loaded)
    with _stoppable():
        done = compute(prepared, _watch(progress))
    tables, more = frames_of(done.ledger.folder, done.runs)
    notes = [*prepared.notes, *left_out(done.problems), *more, *absences(done)]
    notes += [f"The tables could not be written: {done.unwritten}"] if done.unwritten else []
    every = Results(
        done.plan.suite, tables["runs"], tables["clients"], tables["curves"], done.ledger.folder,
        with_tracebacks(done.outcome.failed, done.ledger), notes,
    )  # fmt: skip
    return every.only([run.id for run in done.plan.runs])


def tune(
    suite: Folder | Sequence[Folder],
    *,
    methods: Names = None,
    scenarios: Names = None,
    trials: int = 8,
    seeds: Seeds = "1000-1002",
    out: Folder = "results",
    budget_scale: float = 1.0,
    precision: str | None = None,
    executor: str = "auto",
    workers: int | None = None,
    address: str | None = None,
    device: str = "auto",
    lockstep: int | None = None,
    data_dir: Folder | None = None,
    plugins: Sequence[Folder] = (),
    known: Folder | None = None,
    progress: bool = True,
) -> "Tuning":
    """Tune every method with the same number of trials, on validation data at seeds that the suite does not publish.

    ``suite``: one, or several, each on its own. Returns the choices as a frame, and as TOML ready to be pasted into the
    suite; trials are kept in ``<out>/<suite>-tuning`` and not repeated. ``scenarios``: by default a suite's first.
    """
    from .actions.tune_request import TuneRequest, resolve_tuning

    request = TuneRequest(
        as_suites(suite), as_names(methods), as_names(scenarios), trials, as_seeds(seeds) or "", expanded(out),
        float(budget_scale), precision, executor, workers, address, device, lockstep,
        as_path(data_dir), as_paths(plugins), as_path(known),
    )  # fmt: skip
    wanted, loaded = resolve_tuning(request)
    from .actions.tune import joined, prepare_tuning, run_tuning

    prepared = prepare_tuning(request, wanted, loaded)
    with _stoppable():
        return joined([run_tuning(each, _watch(progress)) for each in prepared], prepared)


def estimate(
    suite: Folder | None = None,
    *,
    methods: Names = None,
    scenarios: Names = None,
    seeds: Seeds = None,
    out: Folder = "results",
    executor: str = "auto",
    workers: int | None = None,
    device: str = "auto",
    backend: str = "auto",
    precision: str | None = None,
    budget_scale: float = 1.0,
    data_dir: Folder | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    tuned: Sequence[Folder] = (),
    plugins: Sequence[Folder] = (),
    keep_models: bool = False,
) -> "Estimate":
    """How many runs, ``hours`` and bytes ``run`` with these options would take, from a short measurement."""
    from .actions.request import RunRequest, resolve

    request = RunRequest(
        methods=as_names(methods), suite=None if suite is None else str(suite), scenarios=as_names(scenarios),
        seeds=as_seeds(seeds), out=expanded(out), executor=executor, workers=workers, device=device,
        backend=backend, precision=precision, budget_scale=float(budget_scale),
        data_dir=as_path(data_dir), settings=as_settings(settings or {}),
        tuned=as_paths(tuned), plugins=as_paths(plugins), keep_models=keep_models,
    )  # fmt: skip
    wanted, loaded = resolve(request)
    from .actions.estimate import estimate as measure

    return measure(request, wanted, loaded)


def load(folder: Folder) -> Results:
    """The results in a suite's folder, such as ``results/quick``, as they are. RequestError if there are none."""
    return _load(expanded(folder))


def published(suite: str) -> Results:
    """The published results of a suite, which ship with the package. RequestError names those that there are."""
    return _published(suite)


def site(folder: Folder | None = None, *, out: Folder = "site", docs: Folder | None = None) -> "Site":
    """Write a static site of a results folder, or without one of the published results: boards, methods, scenarios, and
    the Markdown pages of ``docs``. It works from disk. An earlier site at ``out`` gives way; RequestError where
    anything else is there."""
    from .actions.site import SiteRequest, make_site

    return make_site(SiteRequest(as_path(folder), expanded(out), as_path(docs)))


def load_model(folder: Folder, client: int) -> "nn.Module":
    """The model of a client at the end of a run that has kept its models: an ``nn.Module`` in evaluation mode.

    ``folder``: the run's, such as ``results/quick/runs/<run-id>``. RequestError where no models were kept.
    """
    from .engine.kept import load_model as read
    from .results.leftovers import MODELS

    place = expanded(folder) / MODELS
    if not place.is_file():
        raise RequestError(f"{str(folder)!r} has no {MODELS}; run with keep_models=True (--keep-models)")
    return read(place, client)


def _watch(progress: bool) -> "Watch":
    from .running.watching import unwatched

    if not progress:
        return unwatched
    from .cli.progress import watch_runs

    return watch_runs


@contextmanager
def _stoppable() -> Iterator[None]:
    """The first Ctrl-C asks for checkpoints; the second one ends it at once."""
    from .engine import stop

    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hear(number: int, _: FrameType | None) -> None:
        if stop.asked():
            raise KeyboardInterrupt
        stop.ask(number)

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        stop.forget()
