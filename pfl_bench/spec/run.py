"""A run: method with its hyper-parameters x scenario x seed. Its id is a hash of exactly those."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pfl_bench.errors import RequestError, unknown
from pfl_bench.registry import METHODS
from pfl_bench.spec.config import MethodConfig

from .choices import OPTION, Choices, chosen_apart
from .fields import check_written, read_fields
from .identity import config_hash, config_identity, run_id
from .scenario import Scenario
from .suite import Overrides, Suite


@dataclass(frozen=True)
class RunSpec:
    """One run, as data."""

    method: str
    config: MethodConfig
    scenario: Scenario
    seed: int

    @cached_property
    def config_identity(self) -> dict[str, Any]:
        """What of the hyper-parameters identifies the run (``spec.identity``)."""
        cls = METHODS.get(self.method)
        shipped = cls.__module__.startswith(METHODS.package + ".")
        return config_identity(self.method, self.config, shipped=shipped, version=cls.version)

    @cached_property
    def config_hash(self) -> str:
        """Hash of the method's name and hyper-parameters."""
        return config_hash(self.method, self.config_identity)

    @cached_property
    def id(self) -> str:
        """``<method>-s<seed>-<hash>``; the hash covers method, hyper-parameters, scenario and seed."""
        return run_id(self.method, self.config_identity, self.scenario.identity(), self.seed)


def make_config(method: str, values: Mapping[str, Any], where: str) -> MethodConfig:
    """Validate hyper-parameters; RequestError names the field, the value and what would be right."""
    cls = METHODS.get(method)
    for field in values:
        if field not in cls.Config.model_fields:
            raise unknown(f"hyper-parameter of {method}", field, cls.Config.model_fields)
    config = read_fields(cls.Config, values, f"{where} {method}.")
    check_written(config, f"{where} {method}.")
    return config


def plan_runs(
    methods: Sequence[str],
    scenarios: Sequence[Scenario],
    seeds: Sequence[int] | None,
    suite: Suite,
    overrides: Overrides,
    choices: Sequence[Choices] = (),
) -> list[RunSpec]:
    """Every method x scenario x seed; ``None``: the suite's seeds of each scenario.

    Hyper-parameters: defaults, then the suite's, then those of ``choices``, then the variant's, ``--set``.
    """

    def configs(method: str, scenario: Scenario) -> list[MethodConfig]:
        chosen = suite.hyperparameters_of(method, scenario.id) | chosen_apart(choices, method, scenario.id)
        variants, typed = suite.variants.get(method, [{}]), overrides.get(method, {})
        return [make_config(method, {**chosen, **own, **typed}, "hyper-parameters") for own in variants]

    return [
        RunSpec(method, config, scenario, seed)
        for scenario in scenarios
        for method in methods
        for config in _distinct(configs(method, scenario))
        for seed in (suite.seeds_of(scenario.id) if seeds is None else seeds)
    ]


def check_hyperparameters(suite: Suite) -> None:
    """RequestError for the first value in a suite that its method does not take, whoever takes part in this request.

    Methods that cannot be loaded are not looked at. Every value is tried by itself, so that the error says in which
    table it stands, and then what each scenario makes of all of them together.
    """
    loaded = METHODS.loaded(sorted(suite.methods_named()))
    _check_each(_said(suite), loaded, f"suite {suite.name}")
    plan_runs(loaded, suite.scenarios, [0], suite, {})


def check_choices(choices: Choices) -> None:
    """RequestError for the first value in a file of choices that its method does not take, as for a suite's."""
    loaded = METHODS.loaded(sorted(choices.methods()))
    _check_each(_in_tables(choices.everywhere, choices.at), loaded, f"{OPTION}: {choices.file}")


def _check_each(said: Iterable[tuple[str, str, str, Any]], loaded: Sequence[str], place: str) -> None:
    for where, method, field, value in said:
        if method in loaded:
            try:
                make_config(method, {field: value}, f"{place}: {where}")
            except RequestError as error:
                own = f"{method}.{field}"
                if field not in METHODS.get(method).Config.model_fields:
                    raise RequestError(f"{place}: {where}: {error}") from error
                if own in str(error):  # else it is refused for what other fields are, which are not given here
                    raise


def _in_tables(everywhere: Overrides, at: Mapping[str, Overrides]) -> Iterator[tuple[str, str, str, Any]]:
    """Every hyper-parameter in the two tables of them: its table, its method, its name and its value."""
    tables = {"hyperparameters": everywhere} | {f"hyperparameters_at.{pattern}": own for pattern, own in at.items()}
    for where, by_method in tables.items():
        for method, values in by_method.items():
            yield from ((where, method, field, value) for field, value in values.items())


def _said(suite: Suite) -> Iterator[tuple[str, str, str, Any]]:
    """Every hyper-parameter that a suite gives, likewise."""
    yield from _in_tables(suite.hyperparameters, suite.hyperparameters_at)
    for method, variants in suite.variants.items():
        yield from (("variants", method, field, value) for own in variants for field, value in own.items())
    for method, grid in suite.search_space.items():
        yield from (("search_space", method, field, value) for field, values in grid.items() for value in values)


def _distinct(configs: Sequence[MethodConfig]) -> list[MethodConfig]:
    """Each configuration once, in order; they may hold lists, which cannot be hashed."""
    return list({config.model_dump_json(): config for config in configs}.values())
