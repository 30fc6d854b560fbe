"""What a registry's own package offers, read from its files without importing them: torch takes seconds to load."""

import ast
import importlib.metadata
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Offer:
    """One registration as it stands in a file: the name, the texts beside it, and the class's plain attributes."""

    name: str
    info: Mapping[str, str]
    attributes: Mapping[str, str]
    origin: str


def offers(package: str, decorator: str, group: str) -> list[Offer] | None:
    """Every registration in a package's modules, by name; None where reading is not enough.

    That is where another distribution adds entries of its own (entry points of ``group``), a file is no Python, or a
    name is not written out.
    """
    if importlib.metadata.entry_points(group=group):
        return None
    spec = importlib.util.find_spec(package)
    found: list[Offer] = []
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(place).glob("[!_]*.py")):
            try:
                found += _in_file(path, decorator)
            except (OSError, SyntaxError, ValueError):
                return None
    return sorted(found, key=lambda offer: offer.name)


def _in_file(path: Path, decorator: str) -> Iterator[Offer]:
    """The registrations in a file; ValueError for one that cannot be read off."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    decorated = {id(call): node for node in ast.walk(tree) for call in getattr(node, "decorator_list", ())}
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == decorator):
            continue
        if len(call.args) != 1:
            raise ValueError(f"{path}: a registration without a name")
        info = {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg and _is_text(k.value)}
        body: list[ast.stmt] = getattr(decorated.get(id(call)), "body", [])
        yield Offer(str(ast.literal_eval(call.args[0])), info, dict(_attributes(body)), str(path))


def _attributes(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and _is_text(node.value):
            yield node.targets[0].id, ast.literal_eval(node.value)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
