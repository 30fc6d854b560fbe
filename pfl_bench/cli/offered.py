"""What registries offer and what scenarios can be told, as rows of ``list``: one engine for all of them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from pfl_bench.parameters import Parameter, of_model
from pfl_bench.registry import PARTITIONS, SHIFTS, Entry, Registry
from pfl_bench.shelves import Offer
from pfl_bench.spec.heterogeneity import AvailabilitySpec, ShiftSpec
from pfl_bench.spec.scenario import EnrollSpec, PartitionSpec, Scenario

Rows = list[list[str]]


def everything(registry: Registry[Any]) -> list[Offer]:
    """What a registry offers, read from its files; imported where that is not enough."""
    read = registry.offers()
    if read is not None:
        return read
    return [Offer(entry.name, _told(entry), _attributes(entry), entry.origin, _fields(entry)) for entry in registry]


def _attributes(entry: Entry[Any]) -> dict[str, str]:
    return {"moment": str(getattr(entry.value, "moment", ""))}


def _told(entry: Entry[Any]) -> dict[str, str]:
    """What was said when it was registered, what is kept in a shift among it."""
    if not hasattr(entry.value, "of"):
        return dict(entry.info)
    return {"of": entry.value.of, "inputs": ",".join(entry.value.kinds), **entry.info}


def _fields(entry: Entry[Any]) -> tuple[Parameter, ...]:
    """The parameters of a rule: its own, without those that all rules have."""
    config = getattr(entry.value, "config", None)
    if not (isinstance(config, type) and issubclass(config, BaseModel)):
        return ()
    return tuple(of_model(config, beyond=next(kind for kind in config.__mro__[::-1] if kind.__module__ in _CONTRACTS)))


_CONTRACTS = ("pfl_bench.data.partition", "pfl_bench.data.shifts")
"""Where the classes are defined that all rules' parameters inherit from."""


def laws() -> list[type[BaseModel]]:
    """The laws of sizes that ``quantity`` may name."""
    from pfl_bench.data.quantity import LAWS

    return list(LAWS)


def tag(law: type[BaseModel]) -> str:
    """What a law is called."""
    (tag,) = get_args(law.model_fields["law"].annotation)
    return str(tag)


def _rows(name: str, fields: Iterable[Parameter]) -> Rows:
    return [[name, field.name, field.default, field.meaning] for field in fields]


def _of_offers(registry: Registry[Any]) -> Rows:
    return [row for offer in everything(registry) for row in _rows(offer.name, offer.parameters)]


def _quantity_of_every_rule() -> Rows:
    return [["(every rule of labels)", "quantity", "none", "a law of the clients' sizes: pfl-bench list quantity"]]


def _of_every_shift() -> Rows:
    return _rows("(every shift)", [field for field in of_model(ShiftSpec) if field.name != "rule"])


def _of_scenarios() -> Rows:
    tables: dict[str, type[BaseModel]] = {
        "scenario": Scenario,
        "partition": PartitionSpec,
        "enroll": EnrollSpec,
        "shift": ShiftSpec,
        "availability": AvailabilitySpec,
    }
    return [row for name, model in tables.items() for row in _rows(name, of_model(model))]


PARAMETERS: Mapping[str, tuple[str, Callable[[], Rows]]] = {
    "partitions": ("rule", lambda: [*_of_offers(PARTITIONS), *_quantity_of_every_rule()]),
    "quantity": ("law", lambda: [row for law in laws() for row in _rows(tag(law), of_model(law)) if row[1] != "law"]),
    "shifts": ("shift", lambda: [*_of_offers(SHIFTS), *_of_every_shift()]),
    "availability": ("table", lambda: _rows("availability", of_model(AvailabilitySpec))),
    "fields": ("table", _of_scenarios),
}
"""Listings with parameters: what these belong to is called, and their rows."""
