"""A request as it was typed, and what it names: checked without loading torch, so that a slip is told at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pfl_bench.errors import PLUG_IN, RequestError, about, shown, unknown
from pfl_bench.registry import DATASETS, METHODS, MODELS, PARTITIONS, SHIFTS, Plugin, base_name, load_plugins
from pfl_bench.results.ledger import check_writable
from pfl_bench.running.tracking import TRACKERS
from pfl_bench.spec.choices import Choices, read_choices
from pfl_bench.spec.options import BACKENDS, EXECUTORS, STATES, check_device, split_address
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
from pfl_bench.spec.tuned import dropped, untuned

from .settings import check_form, read_settings

ADHOC = "adhoc"


@dataclass(frozen=True)
class RunRequest:
    """What is to be run, and how, as it was typed. None stands for what the suite says, or what pays."""

    methods: str | None = None
    suite: str | None = None
    scenarios: str | None = None
    seeds: str | None = None
    out: Path = Path("results")
    executor: str = "auto"
    workers: int | None = None
    address: str | None = None
    device: str = "auto"
    backend: str = "auto"
    lockstep: int | None = None
    state: str = "memory"
    precision: str | None = None
    budget_scale: float = 1.0
    data_dir: Path | None = None
    settings: tuple[str, ...] = ()
    tuned: tuple[Path, ...] = ()
    plugins: tuple[Path, ...] = ()
    fresh: bool = False
    trackers: tuple[str, ...] = ()
    in_process: bool = False
    keep_models: bool = False
    wait: bool = True


@dataclass(frozen=True)
class Wanted:
    """What a request asks for: names that exist, each once; ``every_method``: as ``all``, not by their names.

    ``seeds``: None for those that the suite has in each scenario.
    """

    suite: Suite
    methods: Sequence[str]
    every_method: bool
    scenarios: Sequence[Scenario]
    seeds: Sequence[int] | None
    overrides: Overrides
    choices: tuple[Choices, ...] = ()


def resolve(request: RunRequest) -> tuple[Wanted, tuple[Plugin, ...]]:
    """What a request asks for, with its plug-ins loaded. RequestError before anything is written."""
    check_means(request)
    plugins = load_plugins(request.plugins)
    return read_request(request), plugins


def check_means(request: RunRequest) -> None:
    """RequestError for what is wrong whatever there is to run: how to compute, where to write, how options look.

    Needs no plug-in, so that none runs for a request that is refused.
    """
    for kind, name, choices in (
        ("backend", request.backend, BACKENDS),
        ("state", request.state, STATES),
        *(("tracker", name, tuple(TRACKERS)) for name in request.trackers),
    ):
        if name not in choices:
            raise unknown(kind, name, choices)
    check_executor(request.executor, request.address, request.workers, request.device)
    check_counts(lockstep=request.lockstep)
    if (request.lockstep or 1) > 1 and request.backend != "auto":
        raise RequestError(f"--lockstep {request.lockstep} is for --backend auto")
    if request.in_process and request.executor != "serial":
        raise RequestError("--in-process is for --executor serial")
    at_edition([], request.budget_scale, request.precision, "--budget-scale")
    if request.seeds is not None:
        parse_seeds(request.seeds, "--seeds")
    check_form(request.settings)
    check_writable(request.out)


def check_executor(executor: str, address: str | None, workers: int | None, device: str) -> None:
    """RequestError unless there is such an executor, and it takes the address, so many workers and the device."""
    if executor not in EXECUTORS:
        raise unknown("executor", executor, EXECUTORS)
    check_device(device, "--device")
    check_counts(workers=workers)
    if address is not None:
        split_address(address, "--address")
        if executor == "serial":
            raise RequestError("--address is for --executor ray")
    if executor == "serial" and (workers or 1) > 1:
        raise RequestError(f"--workers {workers} is for --executor ray; serial computes one run after another")


def check_counts(**counts: int | None) -> None:
    """RequestError for a number of something, named as its option is, that is below 1; None is the default."""
    for name, count in counts.items():
        if count is not None and count < 1:
            raise RequestError(f"--{name}: {count} must be at least 1")


def read_request(request: RunRequest) -> Wanted:
    """Look up every name. RequestError for one that does not exist. Plug-ins must be loaded before."""
    check_means(request)
    known = METHODS.known_names()
    suite = _suite(request)
    asked, where = (request.methods, "--methods") if request.methods is not None else (suite.methods, "methods")
    methods = parse_names(asked, known, "method", where)
    seeds = None if request.seeds is None else parse_seeds(request.seeds, "--seeds")
    for name in sorted(suite.methods_named() - set(known)):
        raise unknown(f"method in the tables of suite {suite.name}", name, known, also=PLUG_IN)
    overrides = read_settings(request.settings, methods, known)
    chosen = select_scenarios(suite.scenarios, request.scenarios, "--scenarios")
    scenarios = at_edition(chosen, request.budget_scale, request.precision, "--budget-scale")
    check_names(scenarios)
    choices = tuple(read_choices(path, suite, methods, known) for path in request.tuned)
    return Wanted(suite, methods, means_all(asked), scenarios, seeds, overrides, choices)


def warnings_of(request: RunRequest, wanted: Wanted, methods: Sequence[str]) -> list[str]:
    """Entries whose hyper-parameters nobody chose, and suites whose choices are not used, a line each.

    ``methods``: those that take part.
    """
    adhoc = request.suite is None and wanted.suite.name == ADHOC
    lines = dropped(wanted.scenarios, methods, list(builtin_suites().values())) if adhoc else []
    return [*lines, *untuned(wanted.suite, methods, wanted.scenarios, wanted.overrides, wanted.choices)]


def _suite(request: RunRequest) -> Suite:
    """The suite asked for; scenarios without a suite are looked up in all built-in ones and called adhoc."""
    if request.suite is not None:
        return load_suite(request.suite)
    if request.scenarios is None:
        return load_suite("quick")
    suites = builtin_suites().values()
    return Suite(ADHOC, "", tuple(scenario for suite in suites for scenario in suite.scenarios))


def check_names(scenarios: Sequence[Scenario]) -> None:
    """The data sets, partition rules, shifts and client models that the scenarios name."""
    for scenario in scenarios:
        with about(f"scenario {shown(scenario.id)}"):
            DATASETS.require(base_name(scenario.dataset))
            if scenario.partition.rule is not None:
                PARTITIONS.require(scenario.partition.rule)
            for shift in scenario.shift:
                SHIFTS.require(shift.rule)
            for name in scenario.models:
                MODELS.require(base_name(name))
