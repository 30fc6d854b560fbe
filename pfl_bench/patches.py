"""Noticing that code which was only to register something has changed this package, or what it computes with."""

import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

Patches = Mapping[tuple[str, ...], object]

_MADE_LATE = ("__pydantic", "_abc_", "__pfl_bench")
_OWN = {"__init__", "__call__", "__new__", "__post_init__", "__enter__", "__exit__", "__iter__", "__getattr__"}
_PACKAGE = "pfl_bench"
_LIBRARIES = {"torch", "numpy", "pandas", "scipy", "random", "math", "time", "json", "hashlib", "builtins"}
"""What all methods compute and are judged with. Of these, functions and classes are compared."""


def read() -> Patches:
    """What the loaded modules of the package, and of what it computes with, and their classes are made of, by place."""
    found: dict[tuple[str, ...], object] = {}
    for name, module in list(sys.modules.items()):
        package = name.partition(".")[0]
        if package == _PACKAGE:
            found |= dict(_parts(name, module))
        elif package in _LIBRARIES and not name.startswith("torch._C") and module is not None:
            found |= {place: value for place, value in _parts(name, module) if callable(value)}
    return found


def changed(before: Patches) -> list[str]:
    """Places that hold something else than before, such as ``torch.nn.modules.linear.Linear.reset_parameters``.

    Modules that were loaded since, also as names in their package, are no change; neither is what a library replaces by
    something of its own (PyTorch's compiler does when it is loaded).
    """
    now = read()
    loaded = {place[0] for place in before if _package(place) == _PACKAGE}
    found = [
        place
        for place, value in before.items()
        if (new := now.get(place, _GONE)) is not value and (_package(place) == _PACKAGE or not _is_own(place, new))
    ]
    found += [place for place, v in now.items() if place not in before and place[0] in loaded and _is_patch(v)]
    return [".".join(place) for place in found]


_GONE = object()


def _package(place: tuple[str, ...]) -> str:
    return place[0].partition(".")[0]


def _is_own(place: tuple[str, ...], value: object) -> bool:
    """Whether a library's new value is of that library."""
    return str(getattr(value, "__module__", "")).partition(".")[0] == _package(place)


def _is_patch(value: object) -> bool:
    return not isinstance(value, ModuleType)


def _parts(name: str, module: ModuleType) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in list(vars(module).items()):
        if not key.startswith("__"):
            yield (name, key), value
        if issubclass(type(value), type) and value.__module__ == name:  # isinstance asks lazy and deprecated names
            for own, attribute in list(vars(value).items()):
                if not own.startswith(_MADE_LATE) and (own in _OWN or not own.startswith("__")):
                    yield (name, key, own), attribute
