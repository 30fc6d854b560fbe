"""What the scenarios of a report ask for: what all have in common, and a table of the rest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WORDS = {
    "dataset": "data", "model": "client model", "visits": "client visits", "local_steps": "local steps per visit",
    "novel": "novel clients", "adapt_steps": "steps to adapt", "budget_scale": "share of the full budget",
    "asks": "what it asks", "eval_every": "visits between evaluations", "adapt_every": "visits between adaptations",
}  # fmt: skip
"""Fields of a scenario in the words of a reader; others are shown as they are called."""


@dataclass(frozen=True)
class Asked:
    """``shared``: fields that are equal in all scenarios. ``columns`` and ``rows``: the others, by scenario."""

    shared: Mapping[str, str]
    columns: list[str]
    rows: Mapping[str, list[str]]


def asked(scenarios: Mapping[str, Mapping[str, Any]]) -> Asked:
    """From what the runs recorded; a field that is not set says nothing."""
    told = {name: {k: in_words(v) for k, v in own.items() if k != "id"} for name, own in scenarios.items()}
    fields = list(dict.fromkeys(field for own in told.values() for field in own))
    values = {field: {own.get(field, "") for own in told.values()} for field in fields}
    shared = {_word(f): next(iter(values[f])) for f in fields if len(values[f]) == 1 and values[f] != {""}}
    differing = [field for field in fields if len(values[field]) > 1]
    rows = {name: [own.get(field, "") for field in differing] for name, own in told.items()}
    return Asked(shared, [_word(field) for field in differing], rows)


def _word(field: str) -> str:
    return WORDS.get(field, field.replace("_", " "))


def in_words(value: Any) -> str:
    """``classes, classes 2, variant code`` of a table; "" where nothing is set."""
    if isinstance(value, Mapping):
        parts = [(str(key), in_words(item)) for key, item in value.items()]
        return ", ".join(item if key == "rule" else f"{key} {item}" for key, item in parts if item)
    if isinstance(value, list):
        return "; ".join(filter(None, map(in_words, value)))
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
