"""A request to tune, as it was typed, and what it names: checked without loading torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pfl_bench.errors import RequestError, unknown
from pfl_bench.registry import METHODS, Plugin, load_plugins
from pfl_bench.results.ledger import check_writable
from pfl_bench.spec.options import EXECUTORS, check_device, split_address
from pfl_bench.spec.scenario import Scenario, at_edition
from pfl_bench.spec.suite import Suite, load_suite, means_all, parse_names, parse_seeds, select_scenarios

from .request import check_names


@dataclass(frozen=True)
class TuneRequest:
    """What is to be tuned, and how. None stands for what the suite says (of its scenarios, the first)."""

    suite: str
    methods: str | None = None
    scenarios: str | None = None
    trials: int = 8
    seeds: str = "1000-1002"
    out: Path = Path("results")
    budget_scale: float = 1.0
    precision: str = "fp32"
    executor: str = "auto"
    workers: int | None = None
    address: str | None = None
    device: str = "auto"
    lockstep: int | None = None
    data_dir: Path | None = None
    plugins: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Tunable:
    """What a request names: ``every_method``: as ``all``, not by their names. Scenarios at the edition asked for."""

    suite: Suite
    methods: Sequence[str]
    every_method: bool
    scenarios: Sequence[Scenario]
    seeds: Sequence[int]


def resolve_tuning(request: TuneRequest) -> tuple[Tunable, tuple[Plugin, ...]]:
    """What is to be tuned, with plug-ins loaded. RequestError before anything is written."""
    if request.executor not in EXECUTORS:
        raise unknown("executor", request.executor, EXECUTORS)
    check_device(request.device, "--device")
    if request.address is not None:
        split_address(request.address, "--address")
        if request.executor == "serial":
            raise RequestError("--address is for --executor ray")
    at_edition([], request.budget_scale, request.precision, "--budget-scale")
    seeds = parse_seeds(request.seeds, "--seeds")
    check_writable(request.out)
    plugins = load_plugins(request.plugins)
    suite = load_suite(request.suite)
    asked, where = (suite.methods, "methods") if request.methods is None else (request.methods, "--methods")
    names = parse_names(asked, METHODS.known_names(), "method", where)
    matching = select_scenarios(suite.scenarios, request.scenarios, "--scenarios")
    chosen = matching[:1] if request.scenarios is None else matching
    scenarios = at_edition(chosen, request.budget_scale, request.precision, "--budget-scale")
    check_names(scenarios)
    return Tunable(suite, names, means_all(asked), scenarios, seeds), plugins
