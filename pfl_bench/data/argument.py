"""What stands behind a source's name: a path or name, and options: ``csv:PATH?label=class&group=user``.

Options are percent-decoded, so that a column called ``a&b`` is written ``a%26b``.
"""

from collections.abc import Mapping
from urllib.parse import unquote

from pfl_bench.errors import RequestError, shown


def read_argument(source: str, argument: str, known: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The path or name, and the options by name. RequestError for an unknown, empty or doubled one.

    ``known``: what options there are, each with a few words on what it is.
    """
    place, mark, rest = argument.rpartition("?")
    if not mark:
        return argument, {}
    options: dict[str, str] = {}
    for part in rest.split("&"):
        key, sign, value = part.partition("=")
        if key not in known or not sign or not value:
            listed = ", ".join(f"{name}={what}" for name, what in known.items())
            raise RequestError(f"{source}: option {shown(part)} must be one of {listed}")
        if key in options:
            raise RequestError(f"{source}: option {key!r} is given twice")
        options[key] = unquote(value)
    return place, options


def name_list(value: str) -> list[str]:
    """``a,b`` as a list of names."""
    return [name for name in value.split(",") if name]


def whole_number(source: str, options: Mapping[str, str], key: str, default: int, most: int = 10**7) -> int:
    """An option that is a number from 1 to ``most``."""
    value = options.get(key, str(default))
    if not value.isdecimal() or not value.isascii() or not 1 <= int(value) <= most:
        raise RequestError(f"{source}: {key}={shown(value)} must be a whole number from 1 to {most}")
    return int(value)
