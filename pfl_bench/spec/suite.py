"""A suite: a named list of scenarios, methods, seeds and hyper-parameters in a TOML file."""

import fnmatch
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, TypeVar

from pfl_bench.errors import PLUG_IN, RequestError, one_line, shown, unknown
from pfl_bench.files import check_name, expanded, read_text

from .scenario import Scenario, read_scenario, without_edition
from .tables import check_tables

T = TypeVar("T")

MOST_SEEDS = 1000

Overrides = Mapping[str, Mapping[str, Any]]
"""Hyper-parameters by method, in place of its defaults."""


@dataclass(frozen=True)
class Suite:
    """``methods`` is "all" or a comma-separated list, ``seeds`` such as "0-2"; both are defaults of ``run``.

    ``seeds_at``: by glob on scenario ids, the seeds there in place of ``seeds``; ``hyperparameters_at``: likewise, what
    replaces some of ``hyperparameters``. Later globs win.
    ``variants``: methods that take part several times, with hyper-parameters on top of those.
    ``search_space``: the grids that ``running.tuning`` tries here, where they are not the methods' own.
    ``held_out``: ids of scenarios that nobody tunes on; ``statistics.transfer`` chooses for them on the others.
    """

    name: str
    description: str
    scenarios: tuple[Scenario, ...]
    methods: str = "all"
    seeds: str = "0-2"
    seeds_at: Mapping[str, str] = field(default_factory=dict)
    hyperparameters: Overrides = field(default_factory=dict)
    hyperparameters_at: Mapping[str, Overrides] = field(default_factory=dict)
    variants: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    search_space: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)
    held_out: tuple[str, ...] = ()

    def hyperparameters_of(self, method: str, scenario: str) -> dict[str, Any]:
        """The suite's hyper-parameters of a method in the scenario with this id."""
        return chosen_of(method, scenario, self.hyperparameters, self.hyperparameters_at)

    def seeds_of(self, scenario: str) -> list[int]:
        """The seeds of the scenario with this id."""
        return parse_seeds([self.seeds, *said_of(scenario, self.seeds_at)][-1])

    def all_seeds(self) -> set[int]:
        """The seeds that some scenario has."""
        return {seed for scenario in self.scenarios for seed in self.seeds_of(scenario.id)}

    def methods_named(self) -> set[str]:
        """Every method that the suite says something about, whether it takes part or not."""
        at = (name for by_method in self.hyperparameters_at.values() for name in by_method)
        return {*self.hyperparameters, *self.variants, *self.search_space, *at}


def said_of(scenario: str, said: Mapping[str, T]) -> Iterator[T]:
    """What is said of the scenario with this id, by globs, in their order.

    It holds for the scenario's editions too: ``a-v1`` for ``a-v1@0.1x+bf16``.
    """
    whole = without_edition(scenario)
    for pattern, what in said.items():
        if fnmatch.fnmatchcase(scenario, pattern) or fnmatch.fnmatchcase(whole, pattern):
            yield what


def chosen_of(method: str, scenario: str, everywhere: Overrides, at: Mapping[str, Overrides]) -> dict[str, Any]:
    """What two tables of hyper-parameters say of a method in the scenario with this id; ``at``: by glob."""
    chosen = dict(everywhere.get(method, {}))
    for by_method in said_of(scenario, at):
        chosen |= by_method.get(method, {})
    return chosen


def check_globs(said: Mapping[str, Any], scenarios: Sequence[Scenario], where: str) -> None:
    """RequestError for a glob on scenario ids that none of them matches."""
    ids = [scenario.id for scenario in scenarios]
    for pattern in said:
        if not fnmatch.filter(ids, pattern):
            raise unknown(f"scenario in {where}", pattern, ids)


def parse_suite(text: str, where: str) -> Suite:
    """Read a suite from TOML text; every mistake is a RequestError that says where."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a plain ValueError
        raise RequestError(f"{where} is not TOML: {one_line(error)}") from error
    check_tables(table, where)
    check_name(table["name"], f"{where}: the name")
    scenarios = tuple(read_scenario(row, where) for row in table["scenario"])
    ids = [scenario.id for scenario in scenarios]
    for id in ids:
        if "@" in id or "+" in id:
            raise RequestError(
                f"{where}: id={shown(id)}: '@' and '+' mark a scenario's editions; take another character"
            )
    if len(set(ids)) < len(ids):
        raise RequestError(f"{where}: scenario id {max(ids, key=ids.count)!r} is used twice")
    for key in ("hyperparameters_at", "seeds_at"):
        check_globs(table.get(key, {}), scenarios, f"{where}, {key}")
    for id in table.get("held_out", ()):
        if id not in ids:
            raise unknown(f"scenario in {where}, held_out", id, ids)
    for method, variants in table.get("variants", {}).items():
        if any(own in variants[:at] for at, own in enumerate(variants)):
            raise RequestError(f"{where}: variants: {method} has one of its {len(variants)} variants twice")
    seeds = _joined(table.get("seeds", "0-2"))
    parse_seeds(seeds, f"{where}: seeds")
    seeds_at = {pattern: _joined(value) for pattern, value in table.get("seeds_at", {}).items()}
    for pattern, text in seeds_at.items():
        parse_seeds(text, f"{where}: seeds_at.{pattern}")
    return Suite(
        name=table["name"],
        description=table.get("description", ""),
        scenarios=scenarios,
        methods=_joined(table.get("methods", "all")),
        seeds=seeds,
        seeds_at=seeds_at,
        hyperparameters=table.get("hyperparameters", {}),
        hyperparameters_at=table.get("hyperparameters_at", {}),
        variants=table.get("variants", {}),
        search_space=table.get("search_space", {}),
        held_out=tuple(table.get("held_out", ())),
    )


def _joined(value: str | int | Sequence[str | int]) -> str:
    """A list as the text that the command line takes for it."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def builtin_suites() -> dict[str, Suite]:
    """The suites that ship with the package, by name."""
    folder = resources.files("pfl_bench.spec.suites")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    suites = [parse_suite(file.read_text(encoding="utf-8"), file.name) for file in files]
    return {suite.name: suite for suite in suites}


@cache
def shipped_scenarios() -> tuple[Scenario, ...]:
    """All scenarios of the suites that ship with the package, read once."""
    return tuple(scenario for suite in builtin_suites().values() for scenario in suite.scenarios)


def load_suite(name_or_file: str) -> Suite:
    """A built-in suite by name, or one of your own by its ``.toml`` path."""
    if name_or_file.endswith(".toml"):
        suite, shipped = parse_suite(read_text(expanded(name_or_file), "suite file"), name_or_file), builtin_suites()
        if shipped.get(suite.name, suite) != suite:
            raise RequestError(
                f"{name_or_file}: the name {suite.name!r} is that of a suite that ships with the package"
            )
        return suite
    suites = builtin_suites()
    if name_or_file not in suites:
        raise unknown("suite", name_or_file, suites)
    return suites[name_or_file]


def select_scenarios(scenarios: Sequence[Scenario], patterns: str | None, where: str = "scenarios") -> list[Scenario]:
    """Scenarios whose id matches one of the comma-separated globs; a glob without a match is a RequestError.

    ``where``, here and below, is what an error calls the text: ``--scenarios`` on the command line.
    """
    if patterns is None:
        return list(scenarios)
    chosen: list[Scenario] = []
    for pattern in _items(patterns, where):
        matching = [s for s in scenarios if fnmatch.fnmatchcase(s.id, pattern)]
        if not matching and pattern.endswith(".toml"):
            raise RequestError(f"{where}: {shown(pattern)} is a suite's file: --suite {pattern} runs its scenarios")
        if not matching:
            raise unknown("scenario", pattern, [s.id for s in scenarios])
        chosen += [s for s in matching if s not in chosen]
    return chosen


def means_all(text: str) -> bool:
    """Whether names are asked for as ``all``: then one that cannot be loaded is left out, not refused."""
    return text.strip() == "all"


def parse_names(text: str, known: Sequence[str], kind: str, where: str | None = None) -> list[str]:
    """``all`` or a comma-separated list of known names, each once."""
    names = list(known) if means_all(text) else _items(text, where or f"{kind}s")
    for name in names:
        if name not in known:
            raise unknown(kind, name, known, also=PLUG_IN)
    return list(dict.fromkeys(names))


def parse_seeds(text: str, where: str = "seeds") -> list[int]:
    """``0-2`` or ``0,3,7-9``: non-negative whole numbers, each once, in the order given."""
    seeds: dict[int, None] = {}
    for item in _items(text, where):
        match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", item)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise RequestError(f"{where}: {shown(item)} is not a number or a rising range such as 0-2")
        if last - first >= MOST_SEEDS or len(seeds) >= MOST_SEEDS:
            raise RequestError(f"{where}: {shown(text)} asks for more than {MOST_SEEDS} seeds")
        seeds |= dict.fromkeys(range(first, last + 1))
    return list(seeds)


def _items(text: str, where: str) -> list[str]:
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        raise RequestError(f"{where}: {shown(text)} has an empty entry; give names separated by commas")
    return items
