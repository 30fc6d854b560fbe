"""Which files decide a run's numbers, and their hashes: method, helpers beside it, client models, partition rule.

The engine is not among them: it is the package's, and a run records its commit. What a method reads from its
environment is not seen.
"""

import ast
import hashlib
import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pfl_bench.registry import METHODS, MODELS, PARTITIONS, Plugin, Registry
from pfl_bench.spec.run import RunSpec

SHELVES = {"pfl_bench.methods": "methods", "pfl_bench.models": "models", "pfl_bench.partitions": "partitions"}
"""Packages whose files ``lineage.toml`` speaks of, and what they are called there."""


def sources_of(run: RunSpec, plugins: tuple[Plugin, ...] = ()) -> dict[str, str]:
    """SHA-256 per file, under ``role:file`` such as ``helper:methods/_hypernetwork.py``."""
    texts = {plugin.path: plugin.source for plugin in plugins}
    wanted: list[tuple[str, Registry[object], str]] = [("method", METHODS, run.method)]
    wanted += [("model", MODELS, name) for name in run.scenario.models]
    if run.scenario.partition.rule is not None:
        wanted.append(("rule", PARTITIONS, run.scenario.partition.rule))
    found: dict[str, str] = {}
    for role, registry, name in wanted:
        path = Path(registry.entry(name).origin)
        found[f"{role}:{label(path)}"] = text_hash(path, texts)
        for helper in helpers(path, texts):
            found[f"helper:{label(helper)}"] = text_hash(helper, texts)
    return found


def label(path: Path) -> str:
    """``methods/fedavg.py`` for a shipped file, else its name."""
    return _shelf_of(path.resolve().parent) + path.name


@cache
def _shelf_of(folder: Path) -> str:
    for package, shelf in SHELVES.items():
        if any(Path(place).resolve() == folder for place in importlib.import_module(package).__path__):
            return f"{shelf}/"
    return ""


def text_hash(path: Path, texts: dict[str, str] | None = None) -> str:
    """SHA-256 of a file as it was read (a plug-in: when it was loaded), "" if it cannot be."""
    text = (texts or {}).get(str(path))
    if text is not None:
        return hashlib.sha256(text.encode()).hexdigest()
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def helpers(path: Path, texts: dict[str, str] | None = None) -> list[Path]:
    """The files beside ``path`` that it imports, and that those import."""
    found: dict[Path, None] = {}
    waiting = [path]
    while waiting:
        current = waiting.pop()
        for beside in _imported_beside(current, texts or {}):
            if beside != path and beside not in found:
                found[beside] = None
                waiting.append(beside)
    return sorted(found)


def _imported_beside(path: Path, texts: dict[str, str]) -> Iterator[Path]:
    try:
        tree = ast.parse(texts.get(str(path)) or path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level <= 1:
            names = [node.module] if node.module else [alias.name for alias in node.names]
        for name in names:
            first = name.removeprefix("pfl_bench.methods.").partition(".")[0]
            for beside in (path.parent / f"{first}.py", path.parent / first / "__init__.py"):
                if beside.is_file():
                    yield beside


def shipped_hashes() -> dict[str, str]:
    """The present hash of every file that ``lineage.toml`` should list."""
    found = {}
    for package, shelf in SHELVES.items():
        for place in importlib.import_module(package).__path__:
            for path in sorted(Path(place).glob("*.py")):
                if path.name != "__init__.py":
                    found[f"{shelf}/{path.name}"] = text_hash(path)
    return found
