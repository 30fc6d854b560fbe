"""The command ``list``."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pfl_bench.errors import unknown
from pfl_bench.registry import DATASETS, METHODS, Registry
from pfl_bench.spec.suite import builtin_suites

from .run import load_plugins
from .terminal import make_console, print_rows


def list_things(what: str, plugins: Sequence[Path]) -> int:
    """Print the registered methods or data sets, or the built-in scenarios or suites."""
    console = make_console()
    load_plugins(plugins)
    if what == "methods":
        rows = [
            [e.name, e.value.moment, str(e.value.Config().cohort), e.info["paper"], Path(e.origin).name]
            for e in METHODS
        ]
        print_rows(console, "methods", ["name", "evaluated", "cohort", "paper", "file"], rows)
        _print_broken(console, METHODS)
    elif what == "datasets":
        rows = [[e.name, e.info.get("summary", ""), e.info.get("source", "")] for e in DATASETS]
        print_rows(console, "data sets", ["name", "what", "source"], rows)
        _print_broken(console, DATASETS)
    elif what == "scenarios":
        rows = [
            [s.id, suite.name, s.dataset, str(s.clients), "+".join(s.models), f"{s.visits} x {s.local_steps}"]
            for suite in builtin_suites().values()
            for s in suite.scenarios
        ]
        print_rows(console, "scenarios", ["id", "suite", "data", "clients", "model", "visits x local steps"], rows)
    elif what == "suites":
        rows = [[s.name, str(len(s.scenarios)), s.methods, s.seeds, s.description] for s in builtin_suites().values()]
        print_rows(console, "suites", ["name", "scenarios", "methods", "seeds", "description"], rows)
    else:
        raise unknown("listing", what, ["methods", "datasets", "scenarios", "suites"])
    return 0


def _print_broken(console: Console, registry: Registry[object]) -> None:
    for name, reason in registry.broken.items():
        console.print(f"  {name} could not be loaded: {reason}", markup=False)
