"""The shape of a suite's tables, before any name or value in them is looked at."""

import re
from collections.abc import Mapping
from typing import Any

from pfl_bench.errors import RequestError, nearest, shown

FIELDS = {
    "name": ("text", "required", "the suite's name, and its results' folder: letters, digits, `.`, `_` and `-`"),
    "description": ("text", '`""`', "what it asks, in a sentence"),
    "methods": ("text or list of texts", '`"all"`', "who takes part where `--methods` says nothing"),
    "seeds": ("text, whole number or list of these", '`"0-2"`', "which seeds where `--seeds` says nothing: `0-2,7`"),
    "seeds_at": ("table", "none", "by glob on scenario ids, which seeds there instead; later globs win"),
    "scenario": ("list of tables, at least one", "required", "the scenarios, under `[[scenario]]` each"),
    "held_out": ("list of texts", "none", "ids of scenarios that `tune` refuses to tune on"),
    "hyperparameters": ("table of tables", "none", "by method, values in place of its defaults, in every scenario"),
    "hyperparameters_at": ("table", "none", "by glob on scenario ids, the same for those; later globs win"),
    "variants": ("table of lists of tables", "none", "by method, entries that take part beside each other"),
    "search_space": ("table of tables of lists", "none", "by method and field, the values that `tune` tries here"),
}
"""Every field of a suite's file: its type, its default and what it says, in words."""
_TABLES = ("seeds_at", "hyperparameters", "hyperparameters_at", "variants", "search_space")
_KEYS = tuple(FIELDS)
SEEDS = '"0-2" or [0, 1, 2]'


def check_tables(table: Mapping[str, Any], where: str) -> None:
    """RequestError for a field that does not exist, is missing, or is of another shape than it must be."""
    for key in table:
        if key not in _KEYS:
            near = " or ".join(map(repr, nearest(key, _KEYS)))
            hint = f": did you mean {near}?" if near else f"; fields are {', '.join(_KEYS)}"
            raise RequestError(f"unknown field in {where} {shown(key)}{hint}")
    for key, kind in (("name", str), ("scenario", list)):
        if not isinstance(table.get(key), kind) or not table[key]:
            raise RequestError(f"{where}: {key!r} is missing or empty; it must be a {kind.__name__}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", table["name"]):
        raise RequestError(f"{where}: name={shown(table['name'])} must consist of letters, digits, '.', '_' and '-'")
    _check_lists(table, where)
    for key in _TABLES:
        if not isinstance(table.get(key, {}), dict):
            raise RequestError(f"{where}: {key}={shown(table[key])} is of the wrong type; it must be a table")
    for pattern, seeds in table.get("seeds_at", {}).items():
        _check_list(seeds, int, f"{where}: seeds_at.{pattern}", SEEDS)
    check_chosen(table, where)
    for method, variants in table.get("variants", {}).items():
        if not isinstance(variants, list) or not variants or not all(isinstance(own, dict) for own in variants):
            raise RequestError(
                f"{where}: variants.{method}={shown(variants)} must be a list of tables of hyper-parameters, "
                "such as [{}, { lr = 0.1 }]"
            )
    for method, grid in table.get("search_space", {}).items():
        if not isinstance(grid, dict) or not grid or not all(isinstance(v, list) and v for v in grid.values()):
            raise RequestError(
                f"{where}: search_space.{method}={shown(grid)} must give a list of values per hyper-parameter"
            )


def _check_lists(table: Mapping[str, Any], where: str) -> None:
    """Methods and seeds are a text as on the command line, or a list; a description is a text."""
    _check_list(table.get("methods", ""), str, f"{where}: methods", '"all" or ["fedavg", "local"]')
    _check_list(table.get("seeds", ""), int, f"{where}: seeds", SEEDS)
    held_out = table.get("held_out", [])
    if not isinstance(held_out, list) or not all(isinstance(each, str) for each in held_out):
        raise RequestError(f"{where}: held_out={shown(held_out)} must be a list of scenarios' ids")
    if not isinstance(table.get("description", ""), str):
        raise RequestError(f"{where}: description={shown(table['description'])} must be a text")


def _check_list(value: Any, kind: type[str] | type[int], where: str, example: str) -> None:
    """RequestError unless this is a text, one of the kind, or a list of these."""
    one = isinstance(value, str | kind) and not isinstance(value, bool)
    if not (one or (isinstance(value, list) and value and all(type(item) is kind for item in value))):
        raise RequestError(f"{where}={shown(value)} is of the wrong type; it must be such as {example}")


def check_chosen(table: Mapping[str, Any], where: str) -> None:
    """RequestError unless ``hyperparameters``, and each glob's of ``hyperparameters_at``, are tables of tables."""
    _check_by_method(table.get("hyperparameters", {}), f"{where}: hyperparameters")
    for pattern, by_method in table.get("hyperparameters_at", {}).items():
        _check_by_method(by_method, f"{where}: hyperparameters_at.{pattern}")


def _check_by_method(by_method: Any, where: str) -> None:
    """RequestError unless this is a table of tables."""
    for method, values in by_method.items() if isinstance(by_method, dict) else [("", by_method)]:
        if not isinstance(values, dict):
            raise RequestError(
                f"{where}{'.' * bool(method)}{method}={shown(values)} must be a table of hyper-parameters"
            )
