"""A request to tune, as it was typed, and what it names: checked without loading torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pfl_bench.errors import RequestError
from pfl_bench.registry import METHODS, Plugin, load_plugins
from pfl_bench.results.ledger import check_writable
from pfl_bench.spec.scenario import Scenario, at_edition
from pfl_bench.spec.suite import Suite, load_suite, means_all, parse_names, parse_seeds, select_scenarios

from .request import check_counts, check_executor, check_names


@dataclass(frozen=True)
class TuneRequest:
    """What is to be tuned, and how. None stands for what a suite says (of its scenarios, the first)."""

    suites: tuple[str, ...]
    methods: str | None = None
    scenarios: str | None = None
    trials: int = 8
    seeds: str = "1000-1002"
    out: Path = Path("results")
    budget_scale: float = 1.0
    precision: str | None = None
    executor: str = "auto"
    workers: int | None = None
    address: str | None = None
    device: str = "auto"
    lockstep: int | None = None
    data_dir: Path | None = None
    plugins: tuple[Path, ...] = ()
    known: Path | None = None


@dataclass(frozen=True)
class Tunable:
    """What a request names of a suite: ``every_method``: as ``all``, not by their names. Scenarios at the edition asked
    for."""

    suite: Suite
    methods: Sequence[str]
    every_method: bool
    scenarios: Sequence[Scenario]
    seeds: Sequence[int]


def resolve_tuning(request: TuneRequest) -> tuple[list[Tunable], tuple[Plugin, ...]]:
    """What is to be tuned, suite by suite, with plug-ins loaded. RequestError before anything is written."""
    check_executor(request.executor, request.address, request.workers, request.device)
    check_counts(trials=request.trials, lockstep=request.lockstep)
    at_edition([], request.budget_scale, request.precision, "--budget-scale")
    seeds = parse_seeds(request.seeds, "--seeds")
    check_writable(request.out)
    plugins = load_plugins(request.plugins)
    suites = _suites(request.suites)
    scenarios = _scenarios(suites, request)
    check_names([scenario for own in scenarios for scenario in own])
    pairs = zip(suites, scenarios, strict=True)
    return [_tunable(suite, own, request, seeds) for suite, own in pairs if own], plugins


def _suites(names: Sequence[str]) -> list[Suite]:
    """Each once. RequestError where two have one name: their trials would lie in one folder."""
    if not names:
        raise RequestError("tune: name a suite, or several")
    suites = [load_suite(name) for name in dict.fromkeys(names)]
    for suite in suites:
        if sum(each.name == suite.name for each in suites) > 1:
            raise RequestError(
                f"several suites are called {suite.name!r}; tune them one after another, each with its --out"
            )
    return suites


def _scenarios(suites: Sequence[Suite], request: TuneRequest) -> list[list[Scenario]]:
    """What is tuned of each suite, which may be nothing: every glob must match in one of them. RequestError where one
    of the suites holds it out, at whatever budget and precision."""
    if request.scenarios is None:
        tunable = [[one for one in suite.scenarios if one.id not in suite.held_out] for suite in suites]
        chosen = [own[:1] or list(suite.scenarios[:1]) for own, suite in zip(tunable, suites, strict=True)]
    else:
        every = [scenario for suite in suites for scenario in suite.scenarios]
        matching = select_scenarios(every, request.scenarios, "--scenarios")
        chosen = [[scenario for scenario in matching if scenario in suite.scenarios] for suite in suites]
    held_out = [one for suite in suites for one in suite.scenarios if one.id in suite.held_out]
    for scenario in (one for own in chosen for one in own if one in held_out):
        raise RequestError(
            f"--scenarios: {scenario.id} is held out, and nobody tunes on it; 'analyse transfer' chooses for it "
            "what did best on the others"
        )
    return [at_edition(own, request.budget_scale, request.precision, "--budget-scale") for own in chosen]


def _tunable(suite: Suite, scenarios: Sequence[Scenario], request: TuneRequest, seeds: Sequence[int]) -> Tunable:
    asked, where = (suite.methods, "methods") if request.methods is None else (request.methods, "--methods")
    names = parse_names(asked, METHODS.known_names(), "method", where)
    return Tunable(suite, names, means_all(asked), scenarios, seeds)
