"""The command ``check``."""

from collections.abc import Sequence
from pathlib import Path

from pfl_bench.registry import METHODS
from pfl_bench.spec.suite import parse_names
from pfl_bench.testing import CHECKS, Context, examine

from .run import load_plugins
from .tables import make_console


def check_methods(method: str, plugins: Sequence[Path]) -> int:
    """Run every conformance check on a method, or on all. Returns 1 if one fails."""
    console = make_console()
    loaded = load_plugins(plugins)
    failed = 0
    names = parse_names(method, METHODS.names(), "method")
    context = Context(tuple(names), loaded)
    for name in names:
        console.print(f"{name} ({METHODS.entry(name).info['paper']})", markup=False)
        for check, complaint in examine(CHECKS, name, context):
            failed += complaint is not None
            verdict = "ok    " if complaint is None else "FAILED"
            console.print(f"  {verdict} {check.title}" + (f": {complaint}" if complaint else ""), markup=False)
    console.print("all checks passed" if not failed else f"{failed} checks failed")
    return 1 if failed else 0
