"""The command ``check``."""

import pdb
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pfl_bench.errors import RequestError
from pfl_bench.registry import METHODS, MODELS, Registry, base_name, load_plugins
from pfl_bench.spec.suite import means_all, parse_names
from pfl_bench.text import counted

from .terminal import make_console

if TYPE_CHECKING:
    from pfl_bench.testing import Check


def check_things(
    method: str | None, model: str | None, data: str | None, plugins: Sequence[Path], debug: bool = False
) -> int:
    """Run every check on a method, on a client model, or on all of either. Returns 1 if one fails.

    ``debug``: look at the first failure in Python's debugger, and end there.
    """
    if (method is None) == (model is None):
        raise RequestError("check: name a method, or a client model with --model")
    if data is not None and model is None:
        raise RequestError("--data: a data set is for --model")
    if method is not None:
        return check_methods(method, plugins, debug)
    return check_models(str(model), data, plugins, debug)


def check_methods(method: str, plugins: Sequence[Path], debug: bool = False) -> int:
    """Run every conformance check on a method, or on all. Returns 1 if one fails."""
    loaded = load_plugins(plugins)
    names = parse_names(method, METHODS.known_names(), "method", "METHOD")
    from pfl_bench.testing import CHECKS, Context  # loads torch

    console = make_console()
    names, broken = _loaded(console, METHODS, method, names)
    context = Context(tuple(names), loaded)
    papers = {name: METHODS.entry(name).info["paper"] for name in names}
    return _examine_all(console, CHECKS, papers, context, broken, debug)


def check_models(model: str, data: str | None, plugins: Sequence[Path], debug: bool = False) -> int:
    """Put a client model, or all, through its checks. Returns 1 if one fails."""
    load_plugins(plugins)
    known = MODELS.known_names()
    members = [
        item.strip() for item in model.split(",") if base_name(item.strip()) in known
    ]  # of a family, as NAME:...
    names = parse_names(model, known if means_all(model) else [*known, *members], "client model", "--model")
    from pfl_bench.data.store import load_dataset
    from pfl_bench.testing import MODEL_CHECKS, ModelContext  # loads torch

    context, console = ModelContext() if data is None else ModelContext(data), make_console()
    if data is not None:
        load_dataset(data)  # one that is unknown is refused before anything is examined
    names, broken = _loaded(console, MODELS, model, names)
    if means_all(model):
        names = [MODELS.entry(name).info.get("example", name) for name in names]
    data_of = {name: f"on {context.data_for(name)}" for name in names}
    return _examine_all(console, MODEL_CHECKS, data_of, context, broken, debug)


def _loaded(console: Console, registry: Registry[Any], asked: str, names: list[str]) -> tuple[list[str], int]:
    """The names to examine, and how many of ``all`` cannot be loaded: that counts as a failure, and is told."""
    if not means_all(asked):
        return names, 0
    there = registry.loaded(names)
    for name, reason in registry.broken.items():
        console.print(f"{name} could not be loaded: {reason}", markup=False)
    return there, len(registry.broken)


def _examine_all(
    console: Console, checks: "Sequence[Check]", words: Mapping[str, str], context: object, broken: int, debug: bool
) -> int:
    """Report on everything that there are ``words`` for, or up to the first failure; the exit status."""
    failed = broken
    for name, what in words.items():
        found = _report(console, checks, name, context, what, debug)
        failed += found
        if debug and found:
            console.print("Ended at the first failure, as --pdb has it.", markup=False)
            break
    console.print("all checks passed" if not failed else f"{counted(failed, 'check')} failed")
    return 1 if failed else 0


def _report(console: Console, checks: "Sequence[Check]", name: str, context: object, what: str, debug: bool) -> int:
    from pfl_bench.testing import examine

    console.print(f"{name} ({what})", markup=False)
    for check in checks:
        if check.left_out:
            console.print(f"  -      {check.title}: not examined, for {check.left_out}", markup=False)
    failed = 0
    for check, complaint in examine(checks, name, context):
        failed += complaint is not None
        verdict = "ok    " if complaint is None else "FAILED"
        console.print(f"  {verdict} {check.title}" + (f": {complaint}" if complaint else ""), markup=False)
        if complaint and complaint.trace:
            console.print(f"         its traceback: {_kept(name, complaint.trace)}", markup=False, soft_wrap=True)
        if complaint and debug:
            pdb.post_mortem(complaint.error.__traceback__)
            break
    return failed


def _kept(name: str, trace: str) -> str:
    """The path of a new temporary file with a traceback; ``check`` has no results folder to keep it in."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", name)  # of a family, NAME:OPTIONS: no file's name on Windows
    with tempfile.NamedTemporaryFile(
        "w", prefix=f"pfl-bench-check-{name}-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(trace)
    return file.name
