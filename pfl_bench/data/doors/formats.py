"""The forms there are, by name."""

from collections.abc import Mapping

from pfl_bench.errors import unknown

from . import fl_bench, flower, json_clients, npz, pfllib
from .format import Format

FORMATS: Mapping[str, Format] = {
    "pfllib": pfllib.FORMAT,
    "flower": flower.FORMAT,
    "fl-bench": fl_bench.FORMAT,
    "npz": npz.FORMAT,
    "json": json_clients.FORMAT,
}
"""What ``--to`` takes. A further form is one module and one line here."""


def find_format(name: str) -> Format:
    """The form of a name; RequestError lists them."""
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    return FORMATS[name]
