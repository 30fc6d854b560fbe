"""Registries of methods, data sets, partition rules, shifts and client models.

An entry arrives in one of three ways: from a module of the registry's own package (found by listing it,
never by name), from another distribution through an entry-point group, or from a plug-in file. A module
that fails to import spoils only itself: its half-made entries are withdrawn and the reason is kept.
"""

import hashlib
import importlib
import importlib.metadata
import pkgutil
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from traceback import walk_stack
from typing import Any, Generic, TypeVar

from . import global_state, patches, trial
from .errors import PLUG_IN, RequestError, one_line, registers_nothing, shown, unknown
from .files import check_name, read_text
from .shelves import Offer, offers, places

T = TypeVar("T")
_NAME, _DASHED = re.compile(r"[a-z][a-z0-9_]*"), re.compile(r"[a-z][a-z0-9_-]*")


def base_name(name: str) -> str:
    """What is registered, of ``NAME`` or ``NAME:ARGUMENT``."""
    return name.partition(":")[0]


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One registered thing: its name, the object, what its author says of it, and where it comes from."""

    name: str
    value: T
    info: Mapping[str, str]
    origin: str


class Registry(Generic[T]):
    """Named entries of one kind, discovered on first use."""

    def __init__(
        self, kind: str, package: str, group: str, decorator: str = "", names: re.Pattern[str] = _NAME,
        of_files: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """``of_files``: for how a file's name ends, the entry that takes such files as its argument."""
        self.kind, self.package, self.group, self.decorator = kind, package, group, decorator
        self._form, self._of_files = names, of_files or {}
        self.broken: dict[str, str] = {}
        self._entries: dict[str, Entry[T]] = {}
        self._discovered = False

    def register(self, name: str, *, origin: str | None = None, **info: str) -> Callable[[T], T]:
        """Decorator that enters an object under ``name``; a used or malformed name is a RequestError.

        ``origin`` is the defining module's name, where the object itself does not say it.
        """
        if not self._form.fullmatch(name):
            raise RequestError(f"{self.kind} name {shown(name)} must match {self._form.pattern}")
        check_name(name, f"{self.kind} name")
        if name == "all":
            raise RequestError(f"{self.kind} name 'all' is taken: it means every {self.kind}")

        def enter(value: T) -> T:
            if name in self._entries:
                raise RequestError(f"{self.kind} {name!r} is already registered by {self._entries[name].origin}")
            if value.__module__.partition(".")[0] in sys.stdlib_module_names:  # of a class that ``type(...)`` made
                running = (str(frame.f_globals.get("__name__", "")) for frame, _ in walk_stack(sys._getframe()))
                value.__module__ = next(name for name in running if not name.startswith("pfl_bench."))
            module = sys.modules.get(origin or value.__module__)
            self._entries[name] = Entry(name, value, dict(info), getattr(module, "__file__", None) or "?")
            return value

        return enter

    def discover(self) -> None:
        """Import the package's modules and the entry points, once."""
        if self._discovered:
            return
        self._discovered = True
        for module in pkgutil.iter_modules(map(str, places(self.package))):
            if not module.name.startswith("_"):
                self._load(module.name, partial(importlib.import_module, f"{self.package}.{module.name}"))
        for point in importlib.metadata.entry_points(group=self.group):
            self._load(point.name, point.load)

    def _load(self, name: str, load: Callable[[], Any]) -> None:
        try:
            with all_or_nothing():
                load()
        except (Exception, SystemExit) as error:
            self.broken[name] = one_line(error)

    def entry(self, name: str) -> Entry[T]:
        """The entry called ``name``; an unknown name is a RequestError with the nearest one."""
        if not self._discovered:
            self.require(name)
        self.discover()
        if name in self._entries:
            return self._entries[name]
        if name in self.broken:
            raise RequestError(f"{self.kind} {name!r} could not be loaded: {self.broken[name]}")
        raise self._unknown(name, self._entries)

    def _unknown(self, name: str, known: Iterable[str]) -> RequestError:
        """The error for a name that does not exist; a file is not mistaken for a misspelt name."""
        file = name.partition("?")[0].lower()
        taker = next((entry for ending, entry in self._of_files.items() if file.endswith(ending)), "")
        return unknown(self.kind, name, known, f"{taker}:{name[:200]}" if taker else "", PLUG_IN)

    def get(self, name: str) -> T:
        """The object registered as ``name``."""
        return self.entry(name).value

    def names(self) -> list[str]:
        """All names, sorted."""
        self.discover()
        return sorted(self._entries)

    def offers(self) -> list[Offer] | None:
        """What there is, read without importing anything; None where it must be imported (``names``).

        A module that will fail to import is among them.
        """
        return None if self._entries else offers(self.package, self.decorator, self.group)

    def known_names(self) -> list[str]:
        """All names, sorted, as fast as they can be had: to refuse a wrong one."""
        read = self.offers()
        return self.names() if read is None else [offer.name for offer in read]

    def loaded(self, names: Sequence[str]) -> list[str]:
        """Those of ``known_names`` that are there once everything is imported; ``broken`` says why others are not."""
        there = self.names()
        return [name for name in names if name in there]

    def require(self, name: str) -> None:
        """RequestError unless there is something called ``name``; nothing is imported where reading is enough."""
        known = self.known_names()
        if name not in known and name not in self.broken:
            raise self._unknown(name, known)

    def __iter__(self) -> Iterator[Entry[T]]:
        return iter([self.entry(name) for name in self.names()])


METHODS: Registry[Any] = Registry("method", "pfl_bench.methods", "pfl_bench.methods", "register_method")
DATASETS: Registry[Any] = Registry(
    "data set", "pfl_bench.datasets", "pfl_bench.datasets", "register_dataset",
    of_files={".csv": "csv", ".tsv": "csv", ".csv.gz": "csv", ".parquet": "parquet", ".npz": "npz"},
)  # fmt: skip
PARTITIONS: Registry[Any] = Registry(
    "partition rule", "pfl_bench.partitions", "pfl_bench.partitions", "register_partition"
)
MODELS: Registry[Any] = Registry("client model", "pfl_bench.models", "pfl_bench.models", "register_model", _DASHED)
SHIFTS: Registry[Any] = Registry("shift", "pfl_bench.shifts", "pfl_bench.shifts", "register_shift")
ALL: tuple[Registry[Any], ...] = (METHODS, DATASETS, PARTITIONS, SHIFTS, MODELS)


@contextmanager
def all_or_nothing() -> Iterator[None]:
    """Withdraw every entry made inside the block if the block fails."""
    before = [dict(registry._entries) for registry in ALL]
    try:
        yield
    except BaseException:
        for registry, entries in zip(ALL, before, strict=True):
            registry._entries = entries
        raise


@dataclass(frozen=True)
class Plugin:
    """The text of a plug-in file; it travels to the workers, who may not see the driver's disk."""

    path: str
    source: str

    @property
    def module_name(self) -> str:
        """A module name that no other plug-in text has."""
        return "pfl_bench_plugin_" + hashlib.sha256((self.path + "\0" + self.source).encode()).hexdigest()[:16]


def read_plugin(path: str | Path) -> Plugin:
    """Read a plug-in file; one that is missing or no text is a RequestError."""
    return Plugin(str(path), read_text(Path(path), "plug-in"))


LOADING_SECONDS = 60.0
PATCHABLE = ("pfl_bench.engine.simulator", "pfl_bench.running.guard", "pfl_bench.results.ledger")
"""What computes, judges and records runs, with all that these load."""
LOADED_BY_PLUGIN = "__pfl_bench_loaded__"
"""Where a plug-in's module keeps the names of the modules that were loaded with it."""


def load_plugins(paths: Sequence[Path]) -> tuple[Plugin, ...]:
    """Read and run plug-in files, each first in a fork of this process; one that does harm there is a RequestError."""
    plugins = tuple(read_plugin(path) for path in paths)
    for plugin in plugins:
        _discover_all()
        if wrong := trial.complaint(partial(load_plugin, plugin), LOADING_SECONDS):
            raise RequestError(wrong if wrong.startswith("plug-in ") else f"plug-in {plugin.path!r} {wrong}")
        entries, known = [dict(registry._entries) for registry in ALL], plugin.module_name in sys.modules
        load_plugin(plugin)
        if not known and [registry._entries for registry in ALL] == entries:
            del sys.modules[plugin.module_name]
            raise registers_nothing(plugin.path)
    return plugins


def load_plugin(plugin: Plugin) -> None:
    """Run a plug-in's text so that it registers its entries; the same text is run once per process."""
    if plugin.module_name in sys.modules:
        return
    _discover_all()
    for name in PATCHABLE:  # what is loaded before can be compared
        importlib.import_module(name)
    module = types.ModuleType(plugin.module_name)
    module.__file__ = plugin.path
    sys.modules[plugin.module_name] = module
    before, package, loaded = global_state.read(), patches.read(), set(sys.modules)
    try:
        with all_or_nothing():
            exec(compile(plugin.source, plugin.path, "exec"), module.__dict__)
            if changes := global_state.changed(before, random_numbers=False) + patches.changed(package):
                raise RuntimeError(f"it changes {', '.join(changes)}")
        module.__dict__[LOADED_BY_PLUGIN] = tuple(sorted(set(sys.modules) - loaded))
    except (KeyboardInterrupt, GeneratorExit):
        del sys.modules[plugin.module_name]
        raise
    except BaseException as error:  # exit() too
        del sys.modules[plugin.module_name]
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise RequestError(f"plug-in {plugin.path!r} could not be loaded{line}: {one_line(error)}") from error
    finally:
        global_state.restore(before)


def _discover_all() -> None:
    for registry in ALL:  # so that a used name is noticed
        registry.discover()
