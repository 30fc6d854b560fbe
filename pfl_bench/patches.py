"""Noticing that code which was only to register something has changed this package for everybody."""

import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

Patches = Mapping[tuple[str, ...], object]

_MADE_LATE = ("__pydantic", "_abc_", "__pfl_bench")
_OWN = {"__init__", "__call__", "__new__", "__post_init__", "__enter__", "__exit__", "__iter__", "__getattr__"}


def read() -> Patches:
    """Everything that the loaded modules of the package and their classes are made of, by its place."""
    modules = [(name, module) for name, module in list(sys.modules.items()) if name.partition(".")[0] == "pfl_bench"]
    return {place: value for name, module in modules for place, value in _parts(name, module)}


def changed(before: Patches) -> list[str]:
    """Places in the package that hold something else than before, such as ``pfl_bench.engine.moments.evaluate``.

    Modules that were loaded since, also as names in their package, are no change.
    """
    now = read()
    loaded = {place[0] for place in before}
    found = [place for place, value in before.items() if now.get(place, _GONE) is not value]
    found += [place for place, v in now.items() if place not in before and place[0] in loaded and _is_patch(v)]
    return [".".join(place) for place in found]


_GONE = object()


def _is_patch(value: object) -> bool:
    return not isinstance(value, ModuleType)


def _parts(name: str, module: ModuleType) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in list(vars(module).items()):
        if not key.startswith("__"):
            yield (name, key), value
        if isinstance(value, type) and value.__module__ == name:
            for own, attribute in list(vars(value).items()):
                if not own.startswith(_MADE_LATE) and (own in _OWN or not own.startswith("__")):
                    yield (name, key, own), attribute
