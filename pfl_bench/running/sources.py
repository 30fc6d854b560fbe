"""Which files decide a run's numbers, and their hashes: method, client models, partition rule, shifts, data source, and
what each imports from beside it.

The engine is not among them: it is the package's, and a run records its commit. What a file imports from elsewhere,
or reads from its environment, is not seen.
"""

import hashlib
import importlib
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pfl_bench
from pfl_bench.registry import (
    DATASETS,
    LOADED_BY_PLUGIN,
    METHODS,
    MODELS,
    PARTITIONS,
    SHIFTS,
    Plugin,
    Registry,
    base_name,
)  # fmt: skip
from pfl_bench.spec.run import RunSpec

from .imported import imports_of

SHELVES = {f"pfl_bench.{shelf}": shelf for shelf in ("methods", "models", "partitions", "datasets", "shifts")}
"""Packages whose files ``lineage.toml`` speaks of, and what they are called there."""

REGISTRIES: dict[str, Registry[Any]] = {"method": METHODS, "model": MODELS, "rule": PARTITIONS, "shift": SHIFTS,
                                        "dataset": DATASETS}  # fmt: skip
_KEPT = "__pfl_bench_text__"

UNSEEN = (
    "environment variables and files that a plug-in reads when it runs, and what it imports from installed packages, "
    "are not part of its sources: runs that differ in them alone are taken for equal"
)


def unseen(sources: Mapping[str, str]) -> dict[str, str]:
    """What ``run.json`` says of what nobody hashed, where a source is not one of the package's."""
    own = all(key.partition(":")[2].rstrip("'").startswith(tuple(f"{s}/" for s in SHELVES.values())) for key in sources)
    return {} if own else {"sources_unseen": UNSEEN}


class Sources:
    """Finds the sources of runs, each file read once. Plug-ins count as they were loaded, not as they are on disk."""

    def __init__(self, plugins: Sequence[Plugin] = ()) -> None:
        self._plugins = {Path(plugin.path).resolve(): plugin.source.encode() for plugin in plugins}
        self._files: dict[tuple[str, str, str], dict[str, Path]] = {}
        self._seen = 0
        self.read_again()

    def read_again(self) -> "Sources":
        """Forget the texts, but not which files belong to what: an import of another file changes one that is known."""
        self._texts = dict(self._plugins)
        self._found: dict[tuple[str, str], dict[str, str]] = {}
        if self._seen != len(sys.modules):
            self._seen, self._modules = len(sys.modules), _modules_by_file_name()
        return self

    def of(self, run: RunSpec) -> dict[str, str]:
        """SHA-256 per file under ``role:file``, such as ``method helper:methods/_hypernetwork.py``."""
        scenario = run.scenario
        wanted = [("method", run.method), *(("model", base_name(name)) for name in scenario.models)]
        if scenario.partition.rule is not None:
            wanted.append(("rule", scenario.partition.rule))
        wanted += [("shift", shift.rule) for shift in scenario.shift]
        wanted.append(("dataset", scenario.dataset.partition(":")[0]))
        found: dict[str, str] = {}
        for role, name in wanted:
            for key, sha256 in self._sources(role, name).items():
                while found.get(key, sha256) != sha256:  # two files of one name
                    key += "'"
                found[key] = sha256
        return found

    def _sources(self, role: str, name: str) -> dict[str, str]:
        if (role, name) not in self._found:
            files = self._files_of(role, name)
            self._found[role, name] = {key: self.sha256(path) for key, path in files.items()}
        return self._found[role, name]

    def _files_of(self, role: str, name: str) -> dict[str, Path]:
        entry = REGISTRIES[role].entry(name)
        place = role, name, str(entry.origin)
        if place not in self._files:
            path = Path(entry.origin).resolve()
            helpers = self.helpers(path, *_bases(entry.value))
            of_helpers = {f"{role} helper:{label(helper, path.parent)}": helper for helper in helpers}
            self._files[place] = {f"{role}:{label(path)}": path, **of_helpers}
        return self._files[place]

    def sha256(self, path: Path) -> str:
        """SHA-256 of a file's text; "" if it cannot be read."""
        text = self.text(path)
        return "" if text is None else hashlib.sha256(text).hexdigest()

    def text(self, path: Path) -> bytes | None:
        """A file's text as it was first read here: one that is edited in a long session is still run as it was."""
        path = path.resolve()
        if path in self._texts:
            return self._texts[path]
        fitting = (m for m in self._modules.get(path.name, []) if Path(m.__file__ or "").resolve() == path)
        module = next(fitting, None)
        kept = None if module is None else vars(module).get(_KEPT)
        try:
            text: bytes | None = path.read_bytes() if kept is None else kept
        except OSError:
            text = None
        if module is not None and text is not None:
            vars(module)[_KEPT] = text
        if text is not None:
            self._texts[path] = text
        return text

    def helpers(self, path: Path, *bases: Path) -> list[Path]:
        """``bases``, the user's and the shelves' files that ``path`` imports, and what those import."""
        found: set[Path] = set(bases) - {path}
        waiting = [path, *sorted(found)]
        while waiting:
            current = waiting.pop()
            new = {file.resolve() for file in self._imported(current)} - found - {path}
            found |= new
            waiting += sorted(new)
        return sorted(found)

    def _imported(self, path: Path) -> Iterator[Path]:
        for parts, level in imports_of(self.text(path) or b""):
            yield from _files(list(parts), path, level)
            yield from _loaded(list(parts)) if not level else ()
        for module in self._modules.get(path.name, []):
            if Path(module.__file__ or "").resolve() == path:
                for name in vars(module).get(LOADED_BY_PLUGIN, ()):
                    yield from _own_file(name)


def _modules_by_file_name() -> dict[str, list[ModuleType]]:
    found: dict[str, list[ModuleType]] = {}
    for module in list(sys.modules.values()):
        file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
        if isinstance(file, str):
            found.setdefault(os.path.basename(file), []).append(module)  # noqa: PTH119 (thousands of files)
    return found


def _files(parts: list[str], path: Path, level: int = 0) -> Iterator[Path]:
    """The files of ``a``, ``a.b`` and ``a.b.c``, imported in ``path``, that are there and not the engine's.

    An absolute import may lead beside the file, to the top of its own package, or to a shelf of the package.
    """
    package = ".".join(parts[:2])
    if level:
        roots = list(path.parents[level - 1 : level])
    elif package in SHELVES:
        roots, parts = [Path(importlib.import_module(package).__path__[0])], parts[2:]
    else:
        top = path.parent
        while (top / "__init__.py").is_file():
            top = top.parent
        roots = [path.parent, top]
    for root in roots:
        for length in range(1, len(parts) + 1):
            place = root.joinpath(*parts[:length])
            for file in (place.with_name(place.name + ".py"), place / "__init__.py"):
                if file.is_file() and not _of_the_engine(file.resolve()):
                    yield file


def _loaded(parts: list[str]) -> Iterator[Path]:
    """The user's own files among the loaded modules ``a``, ``a.b`` and ``a.b.c``, wherever they were found."""
    for length in range(1, len(parts) + 1):
        yield from _own_file(".".join(parts[:length]))


def _bases(thing: object) -> list[Path]:
    """The user's files that define the classes that a registered class inherits from."""
    return [file for cls in getattr(thing, "__mro__", ()) for file in _own_file(cls.__module__)]


def _own_file(module: str) -> Iterator[Path]:
    """A loaded module's file, if it is neither Python's, nor an installed package's, nor this package's."""
    file = None if module.split(".")[0] == "pfl_bench" else getattr(sys.modules.get(module), "__file__", None)
    path = Path(file).resolve() if isinstance(file, str) else None
    if path is not None and path.is_file() and not _is_installed(path):
        yield path


def _is_installed(path: Path) -> bool:
    """Whether a file is Python's or of an installed package, of this environment or of one that it builds upon."""
    return not _PACKAGES.isdisjoint(path.parts) or any(path.is_relative_to(place) for place in _installed())


_PACKAGES = frozenset({"site-packages", "dist-packages"})


@cache
def _installed() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return tuple(Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def _of_the_engine(file: Path) -> bool:
    return file.is_relative_to(Path(pfl_bench.__file__).resolve().parent) and not _shelf_of(file.parent)


def label(path: Path, beside: Path | None = None) -> str:
    """``methods/fedavg.py`` for a shipped file, else its place in the folder ``beside``, else its name."""
    shelf = _shelf_of(path.resolve().parent)
    if shelf or beside is None or not path.is_relative_to(beside):
        return shelf + path.name
    return path.relative_to(beside).as_posix()


@cache
def _shelf_of(folder: Path) -> str:
    for package, shelf in SHELVES.items():
        if any(Path(place).resolve() == folder for place in importlib.import_module(package).__path__):
            return f"{shelf}/"
    return ""


def shipped_hashes() -> dict[str, str]:
    """The present hash of every file that ``lineage.toml`` should list."""
    return {
        f"{shelf}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for package, shelf in SHELVES.items()
        for place in importlib.import_module(package).__path__
        for path in sorted(Path(place).glob("*.py"))
        if path.name != "__init__.py"
    }
