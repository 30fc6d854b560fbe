"""The index of the methods' pages: by family, what travels, what stays, what a method needs, and when it is judged."""

import ast
import inspect
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pfl_bench.engine.footprint import state_sizes
from pfl_bench.engine.method import FAMILIES, Method
from pfl_bench.registry import METHODS

from .harness import Harness
from .method_figures import figures_cell
from .source import sources

NEEDS = {
    "features": "features",
    "class_counts": "class counts",
    "compute": "forward passes",
    "send_each": "a download per client",
    "generator": "random numbers",
    "norms": "BatchNorm layers",
}
"""Attributes in a method's source, and what they show that it needs."""

HEADER = ("method", "travels", "stays", "needs", "evaluated", "new clients", "published figures", "pinned by")


@dataclass(frozen=True)
class Traffic:
    """What a method moves and keeps, in multiples of the client model, which has ``size`` weights.

    ``down`` and ``up``: per client visit, in the first round in which it is itself. ``own``: kept per client;
    ``shared``: kept for all.
    """

    down: float
    up: float
    own: float
    shared: float
    size: int


def measure(name: str) -> Traffic:
    """One round on the conformance kit's tiny scenario, the first in which the method is itself."""
    harness = Harness(name)
    clients = min(harness.spec.config.cohort, harness.fed.clients)
    before, own = harness.method.selected_from, harness.spec.config.cohort
    harness.rounds = math.ceil(before * harness.setup.scenario.visits / own)
    harness.round(*range(clients))
    size, costs = harness.group.model.size, harness.costs
    own, shared = state_sizes(harness.state)
    per_visit = 4 * size * clients
    return Traffic(costs.bytes_down / per_visit, costs.bytes_up / per_visit, own / size, shared / size, size)


def needs(name: str) -> list[str]:
    """What a method reaches for beyond training and averaging."""
    texts = (text for _, text, _ in sources(METHODS.get(name).__module__))
    used = {node.attr for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}
    return [what for attribute, what in NEEDS.items() if attribute in used]


def index(tests: Path) -> str:
    """Markdown: a table per family. ``tests``: where the tests lie that pin the methods."""
    lines = ["# Methods", ""]
    lines += [f"{len(METHODS.names())} entries. Per client visit a method sends the server's part *down* and the "]
    lines[-1] += "client's *up*; between visits a client's part *stays*, wherever it lies: both in multiples of the "
    lines[-1] += "client model, measured in one round with an MLP. Every method passes the conformance kit."
    lines.append("")
    for family in (*FAMILIES, ""):
        own = [name for name in METHODS.names() if METHODS.entry(name).info.get("family", "") == family]
        if own:
            lines += [f"## {(family or 'others').capitalize()}", "", _row(HEADER), "|---" * len(HEADER) + "|"]
            lines += [_row(_cells(name, tests)) for name in own]
            lines.append("")
    return "\n".join(lines)


def _cells(name: str, tests: Path) -> tuple[str, ...]:
    cls: type[Method] = METHODS.get(name)
    moved = measure(name)
    pinned = {where.partition("::")[0].rpartition("/")[2] for where, _ in pins(name, tests)}
    return (
        f"[{name}]({name}.md)",
        f"{moved.down:.3g} down, {moved.up:.3g} up",
        f"{moved.own:.3g}",
        ", ".join(needs(name)) or "-",
        cls.moment,
        "yes" if cls.defines("enroll") else "no rule",
        figures_cell(name),
        ", ".join(f"`{file}`" for file in sorted(pinned)),
    )


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def pins(name: str, tests: Path) -> Iterator[tuple[str, str]]:
    """Tests in ``tests/methods`` that mention the method, with what they say they show."""
    for where, constants, said in _tests(tests):
        if name in constants:
            yield where, said


@cache
def _tests(tests: Path) -> tuple[tuple[str, frozenset[object], str], ...]:
    """Where each test in ``tests/methods`` is, the constants in it, and what it says it shows."""
    found = []
    for path in sorted(tests.glob("methods/test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            constants = frozenset(n.value for n in ast.walk(node) if isinstance(n, ast.Constant))
            said = " ".join((ast.get_docstring(node) or "").split()) or node.name[5:].replace("_", " ")
            found.append((f"{path.relative_to(tests.parent)}::{node.name}", constants, said.rstrip(".")))
    return tuple(found)


def first_words(function: object) -> str:
    """A docstring on one line; "" where there is none."""
    return " ".join((inspect.getdoc(function) or "").split())
