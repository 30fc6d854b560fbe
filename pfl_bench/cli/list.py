"""The command ``list``: what there is, read from files where that is enough."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pfl_bench.errors import unknown
from pfl_bench.registry import DATASETS, METHODS, MODELS, PARTITIONS, SHIFTS, Registry, load_plugins
from pfl_bench.shelves import Offer
from pfl_bench.spec.suite import builtin_suites

from .terminal import make_console, print_rows, say

Rows = list[list[str]]


def _everything(registry: Registry[Any]) -> list[Offer]:
    """What a registry offers, read from its files; imported where that is not enough."""
    read = registry.offers()
    if read is not None:
        return read
    return [
        Offer(entry.name, entry.info, {"moment": str(getattr(entry.value, "moment", ""))}, entry.origin)
        for entry in registry
    ]


def _moment(offer: Offer) -> str:
    """When a method is evaluated; the contract says "received" where neither it nor a base class says anything."""
    if offer.attributes is None:
        return str(METHODS.get(offer.name).moment)
    return offer.attributes.get("moment", "received")


def _methods() -> tuple[Sequence[str], Rows]:
    rows = [[o.name, _moment(o), o.info.get("paper", ""), Path(o.origin).name] for o in _everything(METHODS)]
    return ("name", "evaluated", "paper", "file"), rows


def _summaries(registry: Registry[Any], *columns: str) -> tuple[Sequence[str], Rows]:
    rows = [[o.name, *(o.info.get(column, "") for column in columns)] for o in _everything(registry)]
    return ("name", *("what" if column == "summary" else column for column in columns)), rows


def _metrics() -> tuple[Sequence[str], Rows]:
    from pfl_bench.metrics import METRICS, leading  # loads NumPy

    lead = set(leading())
    rows = [[m.key, m.unit, m.better, "yes" if m.key in lead else "", m.note] for m in METRICS]
    return ("name", "unit", "better", "may rank", "what"), rows


def _scenarios() -> tuple[Sequence[str], Rows]:
    rows = [
        [s.id, suite.name, s.dataset, str(s.clients), "+".join(s.models), f"{s.visits} x {s.local_steps}"]
        for suite in builtin_suites().values()
        for s in suite.scenarios
    ]
    return ("id", "suite", "data", "clients", "model", "visits x local steps"), rows


def _suites() -> tuple[Sequence[str], Rows]:
    rows = [
        [s.name, str(len(s.scenarios)), ", ".join(s.methods.split(",")), s.seeds, s.description]
        for s in builtin_suites().values()
    ]
    return ("name", "scenarios", "methods", "seeds", "description"), rows


LISTINGS: Mapping[str, tuple[Registry[Any] | None, Callable[[], tuple[Sequence[str], Rows]]]] = {
    "methods": (METHODS, _methods),
    "datasets": (DATASETS, lambda: _summaries(DATASETS, "summary", "source")),
    "partitions": (PARTITIONS, lambda: _summaries(PARTITIONS, "summary")),
    "shifts": (SHIFTS, lambda: _summaries(SHIFTS, "summary")),
    "models": (MODELS, lambda: _summaries(MODELS, "summary")),
    "metrics": (None, _metrics),
    "scenarios": (None, _scenarios),
    "suites": (None, _suites),
}


def list_things(what: str, plugins: Sequence[Path]) -> int:
    """Print what is registered, or the metrics, or the built-in scenarios or suites."""
    if what not in LISTINGS:
        raise unknown("listing", what, list(LISTINGS))
    load_plugins(plugins)
    console = make_console()
    registry, listing = LISTINGS[what]
    headers, rows = listing()
    print_rows(console, "data sets" if what == "datasets" else what, headers, rows)
    for name, reason in (registry.broken if registry is not None else {}).items():
        say(console, f"  {name} could not be loaded: {reason}")
    return 0
