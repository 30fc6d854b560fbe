"""A suite: a named list of scenarios, methods, seeds and hyper-parameters in a TOML file."""

import fnmatch
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from pfl_bench.errors import RequestError, one_line, unknown

from .scenario import Scenario, read_scenario

_TABLES = ("hyperparameters", "hyperparameters_at", "variants", "search_space")
_KEYS = {"name", "description", "methods", "seeds", "scenario", *_TABLES}
MOST_SEEDS = 1000

Overrides = Mapping[str, Mapping[str, Any]]
"""Hyper-parameters by method, in place of its defaults."""


@dataclass(frozen=True)
class Suite:
    """``methods`` is "all" or a comma-separated list, ``seeds`` such as "0-2"; both are defaults of ``run``.

    ``hyperparameters_at``: by glob on scenario ids, what replaces some of ``hyperparameters`` there.
    ``variants``: methods that take part several times, with hyper-parameters on top of those.
    ``search_space``: the grids that ``running.tuning`` tries here, where they are not the methods' own.
    """

    name: str
    description: str
    scenarios: tuple[Scenario, ...]
    methods: str = "all"
    seeds: str = "0-2"
    hyperparameters: Overrides = field(default_factory=dict)
    hyperparameters_at: Mapping[str, Overrides] = field(default_factory=dict)
    variants: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    search_space: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)

    def hyperparameters_of(self, method: str, scenario: str) -> dict[str, Any]:
        """The suite's hyper-parameters of a method in the scenario with this id; later globs win."""
        chosen = dict(self.hyperparameters.get(method, {}))
        for pattern, by_method in self.hyperparameters_at.items():
            if fnmatch.fnmatchcase(scenario, pattern):
                chosen |= by_method.get(method, {})
        return chosen

    def methods_named(self) -> set[str]:
        """Every method that the suite says something about, whether it takes part or not."""
        at = (name for by_method in self.hyperparameters_at.values() for name in by_method)
        return {*self.hyperparameters, *self.variants, *self.search_space, *at}


def parse_suite(text: str, where: str) -> Suite:
    """Read a suite from TOML text; every mistake is a RequestError that says where."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RequestError(f"{where} is not TOML: {one_line(error)}") from error
    for key in table:
        if key not in _KEYS:
            raise unknown(f"field in {where}", key, _KEYS)
    for key, kind in (("name", str), ("scenario", list)):
        if not isinstance(table.get(key), kind) or not table[key]:
            raise RequestError(f"{where}: {key!r} is missing or empty; it must be a {kind.__name__}")
    kinds = {"methods": str, "description": str, "seeds": str | int}
    for key, allowed in {**kinds, **dict.fromkeys(_TABLES, dict)}.items():
        if key in table and not isinstance(table[key], allowed):
            raise RequestError(f"{where}: {key}={table[key]!r} is of the wrong type")
    _check_hyperparameters(table.get("hyperparameters", {}), f"{where}: hyperparameters")
    for pattern, by_method in table.get("hyperparameters_at", {}).items():
        _check_hyperparameters(by_method, f"{where}: hyperparameters_at.{pattern}")
    for method, grid in table.get("search_space", {}).items():
        if not isinstance(grid, dict) or not grid or not all(isinstance(v, list) and v for v in grid.values()):
            raise RequestError(
                f"{where}: search_space.{method}={grid!r} must give a list of values per hyper-parameter"
            )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", table["name"]):
        raise RequestError(f"{where}: name={table['name']!r} must consist of letters, digits, '.', '_' and '-'")
    scenarios = tuple(read_scenario(row, where) for row in table["scenario"])
    ids = [scenario.id for scenario in scenarios]
    if len(set(ids)) < len(ids):
        raise RequestError(f"{where}: scenario id {max(ids, key=ids.count)!r} is used twice")
    for pattern in table.get("hyperparameters_at", {}):
        if not fnmatch.filter(ids, pattern):
            raise unknown(f"scenario in {where}, hyperparameters_at", pattern, ids)
    return Suite(
        name=table["name"],
        description=table.get("description", ""),
        scenarios=scenarios,
        methods=table.get("methods", "all"),
        seeds=str(table.get("seeds", "0-2")),
        hyperparameters=table.get("hyperparameters", {}),
        hyperparameters_at=table.get("hyperparameters_at", {}),
        variants=table.get("variants", {}),
        search_space=table.get("search_space", {}),
    )


def _check_hyperparameters(by_method: Any, where: str) -> None:
    """RequestError unless this is a table of tables."""
    for method, values in by_method.items() if isinstance(by_method, dict) else [("", by_method)]:
        if not isinstance(values, dict):
            raise RequestError(f"{where}{'.' * bool(method)}{method}={values!r} must be a table of hyper-parameters")


def builtin_suites() -> dict[str, Suite]:
    """The suites that ship with the package, by name."""
    folder = resources.files("pfl_bench.spec.suites")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    suites = [parse_suite(file.read_text(encoding="utf-8"), file.name) for file in files]
    return {suite.name: suite for suite in suites}


def load_suite(name_or_file: str) -> Suite:
    """A built-in suite by name, or one of your own by its ``.toml`` path."""
    if name_or_file.endswith(".toml"):
        try:
            return parse_suite(Path(name_or_file).read_text(encoding="utf-8"), name_or_file)
        except (OSError, UnicodeDecodeError) as error:
            raise RequestError(f"suite file {name_or_file!r} cannot be read: {one_line(error)}") from error
    suites = builtin_suites()
    if name_or_file not in suites:
        raise unknown("suite", name_or_file, suites)
    return suites[name_or_file]


def select_scenarios(scenarios: Sequence[Scenario], patterns: str | None) -> list[Scenario]:
    """Scenarios whose id matches one of the comma-separated globs; a glob without a match is a RequestError."""
    if patterns is None:
        return list(scenarios)
    chosen: list[Scenario] = []
    for pattern in _items(patterns, "--scenarios"):
        matching = [s for s in scenarios if fnmatch.fnmatchcase(s.id, pattern)]
        if not matching:
            raise unknown("scenario", pattern, [s.id for s in scenarios])
        chosen += [s for s in matching if s not in chosen]
    return chosen


def means_all(text: str) -> bool:
    """Whether names are asked for as ``all``: then one that cannot be loaded is left out, not refused."""
    return text.strip() == "all"


def parse_names(text: str, known: Sequence[str], kind: str) -> list[str]:
    """``all`` or a comma-separated list of known names, each once."""
    names = list(known) if means_all(text) else _items(text, f"--{kind}s")
    for name in names:
        if name not in known:
            raise unknown(kind, name, known)
    return list(dict.fromkeys(names))


def parse_seeds(text: str) -> list[int]:
    """``0-2`` or ``0,3,7-9``: non-negative whole numbers, each once, in the order given."""
    seeds: list[int] = []
    for item in _items(text, "--seeds"):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", item)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last or last - first >= MOST_SEEDS:
            raise RequestError(f"--seeds: {item!r} is not a number or a rising range such as 0-2")
        seeds += range(first, last + 1)
    return list(dict.fromkeys(seeds))


def _items(text: str, option: str) -> list[str]:
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        raise RequestError(f"{option}: {text!r} has an empty entry; give names separated by commas")
    return items
