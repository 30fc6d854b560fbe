"""A request as it was typed, and what it names: checked without loading torch, so that a slip is told at once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pfl_bench.errors import RequestError, unknown
from pfl_bench.registry import DATASETS, METHODS, MODELS, PARTITIONS
from pfl_bench.results.ledger import check_writable
from pfl_bench.running.tracking import TRACKERS
from pfl_bench.spec.options import BACKENDS, EXECUTORS, STATES
from pfl_bench.spec.run import parse_overrides
from pfl_bench.spec.scenario import Scenario, at_edition
from pfl_bench.spec.suite import (
    Overrides,
    Suite,
    builtin_suites,
    load_suite,
    means_all,
    parse_names,
    parse_seeds,
    select_scenarios,
)

ADHOC = "adhoc"


@dataclass(frozen=True)
class RunRequest:
    """What the user typed."""

    methods: str | None
    suite: str | None
    scenarios: str | None
    seeds: str | None
    out: Path
    executor: str
    workers: int | None
    address: str | None
    device: str
    backend: str
    state: str
    precision: str
    budget_scale: float
    data_dir: Path | None
    settings: tuple[str, ...]
    plugins: tuple[Path, ...]
    fresh: bool
    trackers: tuple[str, ...] = ()
    in_process: bool = False


@dataclass(frozen=True)
class Wanted:
    """What a request asks for: names that exist, each once; ``every_method``: as ``all``, not by their names."""

    suite: Suite
    methods: Sequence[str]
    every_method: bool
    scenarios: Sequence[Scenario]
    seeds: Sequence[int]
    overrides: Overrides


def read_request(request: RunRequest) -> Wanted:
    """Look up every name. RequestError for one that does not exist. Plug-ins must be loaded before."""
    known = METHODS.known_names()
    suite = _suite(request)
    asked = suite.methods if request.methods is None else request.methods
    methods = parse_names(asked, known, "method")
    seeds = parse_seeds(suite.seeds if request.seeds is None else request.seeds)
    for name in sorted(suite.methods_named() - set(known)):
        raise unknown("method", name, known)
    overrides = parse_overrides(request.settings, methods, known)
    chosen = select_scenarios(suite.scenarios, request.scenarios)
    scenarios = at_edition(chosen, request.budget_scale, request.precision)
    _check_names(scenarios)
    _check_means(request)
    return Wanted(suite, methods, means_all(asked), scenarios, seeds, overrides)


def _suite(request: RunRequest) -> Suite:
    """The suite asked for; scenarios without a suite are looked up in all built-in ones and called adhoc."""
    if request.suite is not None:
        return load_suite(request.suite)
    if request.scenarios is None:
        return load_suite("quick")
    suites = builtin_suites().values()
    return Suite(ADHOC, "", tuple(scenario for suite in suites for scenario in suite.scenarios))


def _check_names(scenarios: Sequence[Scenario]) -> None:
    """The data sets, partition rules and client models that the scenarios name."""
    for registry, names in (
        (DATASETS, {s.dataset.partition(":")[0] for s in scenarios}),
        (PARTITIONS, {s.partition.rule for s in scenarios if s.partition.rule is not None}),
        (MODELS, {name for s in scenarios for name in s.models}),
    ):
        for name in sorted(names):
            registry.require(name)


def _check_means(request: RunRequest) -> None:
    """How to compute, and where to write."""
    for kind, name, choices in (
        ("executor", request.executor, EXECUTORS),
        ("backend", request.backend, BACKENDS),
        ("state", request.state, STATES),
        *(("tracker", name, tuple(TRACKERS)) for name in request.trackers),
    ):
        if name not in choices:
            raise unknown(kind, name, choices)
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", request.device):
        raise RequestError(f"--device: {request.device!r} must be auto, cpu, cuda or cuda:N")
    check_writable(request.out)
