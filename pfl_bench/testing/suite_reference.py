"""Every field of a suite's file as a page, made of the models that read it: ``pfl-bench pages --suite-reference``."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from pfl_bench.data.quantity import LAWS
from pfl_bench.parameters import REQUIRED, of_model
from pfl_bench.registry import PARTITIONS, SHIFTS, Registry
from pfl_bench.spec.heterogeneity import AvailabilitySpec, ShiftSpec
from pfl_bench.spec.scenario import EnrollSpec, PartitionSpec, Scenario
from pfl_bench.spec.tables import FIELDS

HEADER = ("field", "type", "default", "what it says")
SIMPLE = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "table",
}
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
QUANTITY = "quantity"

INTRODUCTION = """# A suite's file: every field, its type and its bounds

Made by `pfl-bench pages docs/methods --suite-reference docs/suite_reference.md` from what reads the files; a test holds
it to that. [Your own suite](own_suite.md) shows how to write one, and [scenarios](scenarios.md) says what the fields
mean for an experiment.
"""


def reference() -> str:
    """Markdown: the suite's keys, a scenario's fields, and those of its tables, of every rule, law and shift."""
    lines = [INTRODUCTION, "## The file", "", _row(HEADER), _rule(HEADER)]
    lines += [_row((f"`{name}`", kind, default, meaning)) for name, (kind, default, meaning) in FIELDS.items()]
    lines += ["", *_section("[[scenario]]", Scenario), *_section("partition = { ... }", PartitionSpec)]
    lines += _rules("Parameters of partition rules, beside `rule`", PARTITIONS, without=(QUANTITY,))
    lines += ["### quantity = { law = ... }: any rule of labels takes it", ""]
    lines += _table((f'`"{_law(law)}"`', law, ("law",)) for law in LAWS)
    lines += _section("[[scenario.shift]]", ShiftSpec)
    lines += _rules("Parameters of shifts, beside `rule`", SHIFTS)
    lines += [*_section("availability = { ... }", AvailabilitySpec), *_section("enroll = { ... }", EnrollSpec)]
    return "\n".join(lines)


def write_reference(file: Path) -> None:
    """Write the page."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(reference(), encoding="utf-8")


def kind(schema: Mapping[str, Any]) -> str:
    """A JSON schema's type in words, with its bounds: ``whole number, above 0, at most 100000``."""
    if "$ref" in schema:
        return "table"
    if "const" in schema:
        return f'`"{schema["const"]}"`'
    if "enum" in schema:
        return " or ".join(f'`"{value}"`' for value in schema["enum"])
    if "anyOf" in schema or "oneOf" in schema:
        parts = [kind(part) for part in schema.get("anyOf", schema.get("oneOf")) if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(parts))
    if schema.get("type") == "array":
        return f"list, each {kind(schema['items'])}" if schema.get("items") else "list"
    bounds = [f"{word} {schema[key]:,}" for key, word in BOUNDS.items() if key in schema]
    return ", ".join([SIMPLE.get(str(schema.get("type")), "value"), *bounds])


def _section(heading: str, model: type[BaseModel]) -> list[str]:
    return [f"## {heading}", "", _row(HEADER), _rule(HEADER), *map(_row, _fields(model, ())), ""]


def _rules(heading: str, registry: Registry[Any], without: Sequence[str] = ()) -> list[str]:
    own = [(f"`{entry.name}`", entry.value.config, (*without, "rule")) for entry in registry]
    return [f"### {heading}", "", *_table(own)]


def _table(models: Iterable[tuple[str, type[BaseModel], Sequence[str]]]) -> list[str]:
    """A row per field of each of several models, behind the model's name; a model without fields has one too."""
    rows = [(name, *row) for name, model, without in models for row in _fields(model, without) or [("-", "", "", "")]]
    header = ("rule", *HEADER)
    return [_row(header), _rule(header), *map(_row, rows), ""]


def _fields(model: type[BaseModel], without: Sequence[str]) -> list[tuple[str, ...]]:
    schemas = model.model_json_schema().get("properties", {})
    return [
        (f"`{field.name}`", kind(schemas[field.name]), _written(field.default), field.meaning)
        for field in of_model(model)
        if field.name not in without
    ]


def _written(default: str) -> str:
    return default if default in (REQUIRED, "none") else f"`{default}`"


def _law(law: type[BaseModel]) -> str:
    (tag,) = get_args(law.model_fields["law"].annotation)
    return str(tag)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _rule(cells: Sequence[str]) -> str:
    return "|" + "---|" * len(cells)
