"""The command ``list``: what there is, and what it can be told, read from files where that is enough."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pfl_bench import metrics
from pfl_bench.errors import unknown
from pfl_bench.registry import DATASETS, METHODS, MODELS, PARTITIONS, SHIFTS, Registry, load_plugins
from pfl_bench.shelves import Offer
from pfl_bench.spec.suite import Suite, builtin_suites, said_of

from .offered import PARAMETERS, Rows, everything, laws, tag
from .terminal import make_console, print_rows, say


def _moment(offer: Offer) -> str:
    """When a method is evaluated; the contract says "received" where neither it nor a base class says anything."""
    if offer.attributes is None:
        return str(METHODS.get(offer.name).moment)
    return offer.attributes.get("moment", "received")


def _methods() -> tuple[Sequence[str], Rows]:
    rows = [[o.name, _moment(o), o.info.get("paper", ""), Path(o.origin).name] for o in everything(METHODS)]
    return ("name", "evaluated", "paper", "file"), rows


def _summaries(registry: Registry[Any], *columns: str) -> tuple[Sequence[str], Rows]:
    rows = [[o.name, *(o.info.get(column, "") for column in columns)] for o in everything(registry)]
    return ("name", *(HEADINGS.get(column, column) for column in columns)), rows


def _scenarios() -> tuple[Sequence[str], Rows]:
    rows = [
        [s.id, suite.name, s.dataset, str(s.clients), "+".join(s.models), f"{s.visits} x {s.local_steps}"]
        for suite in builtin_suites().values()
        for s in suite.scenarios
    ]
    return ("id", "suite", "data", "clients", "model", "visits x local steps"), rows


def _suites() -> tuple[Sequence[str], Rows]:
    rows = [
        [s.name, str(len(s.scenarios)), ", ".join(s.methods.split(",")), _seeds(s), s.description]
        for s in builtin_suites().values()
    ]
    return ("name", "scenarios", "methods", "seeds", "description"), rows


def _seeds(suite: Suite) -> str:
    """As written, and in how many scenarios there are others: ``0-4; 0-9 in 8``."""
    own = [list(said_of(scenario.id, suite.seeds_at)) for scenario in suite.scenarios]
    others = Counter(said[-1] for said in own if said)
    return "; ".join([suite.seeds, *(f"{seeds} in {count}" for seeds, count in others.items())])


def _metrics() -> tuple[Sequence[str], Rows]:
    rows = [[m.key, m.note, m.unit, m.better, "yes" if m.leads else ""] for m in metrics.METRICS]
    return ("name", "what", "unit", "better", "can be primary"), rows


def _quantity() -> tuple[Sequence[str], Rows]:
    return ("law", "what"), [[tag(law), (law.__doc__ or "").partition(":")[0]] for law in laws()]


LISTINGS: Mapping[str, tuple[Registry[Any] | None, Callable[[], tuple[Sequence[str], Rows]] | None]] = {
    "methods": (METHODS, _methods),
    "datasets": (DATASETS, lambda: _summaries(DATASETS, "summary", "source")),
    "partitions": (PARTITIONS, lambda: _summaries(PARTITIONS, "summary")),
    "quantity": (None, _quantity),
    "shifts": (SHIFTS, lambda: _summaries(SHIFTS, "summary", "of", "inputs")),
    "availability": (None, None),
    "models": (MODELS, lambda: _summaries(MODELS, "summary", "inputs", "argument")),
    "metrics": (None, _metrics),
    "fields": (None, None),
    "scenarios": (None, _scenarios),
    "suites": (None, _suites),
}


TITLES = {"datasets": "data sets", "quantity": "laws of sizes"}
HEADINGS = {"summary": "what", "of": "changes", "inputs": "data"}


def list_things(what: str, plugins: Sequence[Path]) -> int:
    """Print what is registered, or the built-in scenarios or suites."""
    if what not in LISTINGS:
        raise unknown("listing", what, list(LISTINGS))
    load_plugins(plugins)
    console = make_console()
    registry, listing = LISTINGS[what]
    if listing is not None:
        headers, rows = listing()
        print_rows(console, TITLES.get(what, what), headers, rows, whole=headers[:1])
    if what == "scenarios":
        for scenario in (s for suite in builtin_suites().values() for s in suite.scenarios if s.asks):
            say(console, f"  {scenario.id}: {scenario.asks}")
    if what in PARAMETERS:
        owner, parameters = PARAMETERS[what]
        print_rows(console, "parameters", (owner, "field", "default", "meaning"), parameters())
    for name, reason in (registry.broken if registry is not None else {}).items():
        say(console, f"  {name} could not be loaded: {reason}")
    return 0
