"""A scenario's table as the text of a suite file."""

import json
from collections.abc import Mapping
from typing import Any


def suite_text(scenario: Mapping[str, Any], remark: str) -> str:
    """TOML of a suite with one scenario, called like it; ``remark`` stands above."""
    lines = [f"# {remark}", f"name = {_value(scenario['id'])}", 'seeds = "0-2"', "", "[[scenario]]"]
    lines += [f"{key} = {_value(value)}" for key, value in scenario.items() if value is not None]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    """A value as TOML has it: as JSON has, but for tables."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(own)}" for key, own in value.items() if own is not None) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value).replace("\x7f", "\\u007f")
