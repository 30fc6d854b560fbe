"""No cell, comparison or statistic mixes runs whose data, splits or code differ: such runs get names of their own.

Everything downstream groups by scenario and entry, so a name of its own keeps a run apart everywhere. What all methods
of a scenario share (data, client model, split) parts the scenario; what is the method's own (its code) parts entries.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from .lineage import code_identity
from .record import Record

DIGITS = 6
_CONTENT = re.compile(r" \[[0-9a-f]{12}\]")
"""The hash behind a scenario's id where there are several of that id."""
IDENTITIES = ("code", "model_code", "dataset_code")
"""Whose code a run's method, client models and data source are; "" for what the package ships."""

UNSHOWN = (*IDENTITIES, "code_label")
"""Columns that ``runs.csv`` has only where they say something."""


@dataclass(frozen=True)
class _Mark:
    """A column that must be equal among the runs with equal ``keys``; others are named `` [what abc123]``."""

    column: str
    what: str
    keys: tuple[str, ...] = ("scenario",)
    empty: str = ""


MARKS = (
    _Mark("data_sha256", "data"),
    _Mark("dataset_code", "data source", empty="as shipped"),
    _Mark("model_code", "model", empty="as shipped"),
    _Mark("partition_sha256", "split", ("scenario", "seed")),
)


def identities(record: Record) -> dict[str, str]:
    """``IDENTITIES`` of a run.

    The partition rule's is not among them: the split is compared itself.
    """
    owners = zip(IDENTITIES, ("method", "model", "dataset"), strict=True)
    return {column: code_identity(record, owner) for column, owner in owners}


def plain(scenario: str) -> str:
    """A scenario's id without what ``tell_apart`` put behind it."""
    return scenario.partition(" [")[0]


def edited(scenarios: Iterable[str]) -> list[str]:
    """Ids, without marks, of scenarios that come with different contents among these names."""
    contents: dict[str, set[str]] = {}
    for name in scenarios:
        if found := _CONTENT.search(name):
            contents.setdefault(plain(name), set()).add(found[0])
    return sorted(contents)


def tell_apart(runs: pd.DataFrame) -> pd.DataFrame:
    """The frame with ``scenario`` told apart where data or splits differ, and ``code_label`` where code does.

    Needs ``scenario``, ``scenario_hash``, ``seed``, ``method``, ``data_sha256``, ``partition_sha256``, ``time`` and
    ``IDENTITIES``. Scenarios of one id but different content get their hash behind the id. Within one, the runs on
    other data than most (of equal numbers, than the newest) get that behind the id, likewise those with another client
    model; then, seed by seed, those on another split. What was not recorded is not held against a run.

    ``code_label`` is "" for the shipped code, and unless a method was computed by different code anywhere in the
    frame: statistics over scenarios must not mix it either.
    """
    if runs.empty:
        return runs.assign(code_label=pd.Series(dtype=object))
    hashes = runs.groupby("scenario")["scenario_hash"].transform("nunique")
    other_content = runs["scenario"] + " [" + runs["scenario_hash"].astype(str) + "]"
    told = runs.assign(scenario=runs["scenario"].where(hashes <= 1, other_content))
    for mark in MARKS:
        told = told.assign(scenario=_marked(told, mark))
    codes = told.groupby("method")["code"].transform("nunique")
    labels = ("code " + told["code"].str[:DIGITS]).where((codes > 1) & (told["code"] != ""), "")
    return told.assign(code_label=labels)


def _marked(runs: pd.DataFrame, mark: _Mark) -> pd.Series:
    """Scenario names, with a mark behind those of runs whose value is not the usual one of their group."""
    keys, values = list(mark.keys), runs[mark.column].fillna("").astype(str).replace("", mark.empty)
    frame = runs.assign(_value=values, time=runs["time"].fillna("").astype(str))
    known = frame[frame["_value"] != ""]
    ranked = known.groupby([*keys, "_value"]).agg(_runs=("_value", "size"), _time=("time", "max")).reset_index()
    ranked = ranked.sort_values(["_runs", "_time"], kind="stable")
    usual = ranked.groupby(keys)["_value"].last().rename("_usual")
    found = frame.join(usual, on=keys)
    differs = (found["_value"] != "") & (found["_value"] != found["_usual"])
    short = values.where(values == mark.empty, values.str[:DIGITS])
    return runs["scenario"].where(~differs, runs["scenario"] + f" [{mark.what} " + short + "]")
