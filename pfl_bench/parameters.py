"""What a rule, a law or a scenario can be told: its fields with their defaults and meanings, for lists and pages.

Of pydantic models, or of the text of a class that is one: what a file registers is read without importing it.
"""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

REQUIRED = "required"


@dataclass(frozen=True)
class Parameter:
    """A field: its name, its default as it is written in a suite (or ``required``), and what it means."""

    name: str
    default: str
    meaning: str


def of_model(model: type[BaseModel], beyond: type[BaseModel] | None = None) -> list[Parameter]:
    """The fields of a model, without those that it has from ``beyond``."""
    return [
        Parameter(
            name,
            REQUIRED if info.is_required() else written(info.get_default(call_default_factory=True)),
            info.description or "",
        )
        for name, info in model.model_fields.items()
        if beyond is None or name not in beyond.model_fields
    ]


def of_class(node: ast.ClassDef) -> list[Parameter]:
    """The fields that a class's own body gives a model."""
    return list(_fields(node))


def written(value: Any) -> str:
    """A value as a suite would say it."""
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        return "{}"
    return json.dumps(value)


def _fields(node: ast.ClassDef) -> Iterator[Parameter]:
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            given: dict[str, ast.expr] = {"default": line.value} if line.value is not None else {}
            if isinstance(line.value, ast.Call):  # Field(...)
                given = {keyword.arg: keyword.value for keyword in line.value.keywords if keyword.arg}
                given |= {"default": line.value.args[0]} if line.value.args else {}
            meaning = _literal(given["description"]) if "description" in given else ""
            default = written(_literal(given["default"])) if "default" in given else REQUIRED
            yield Parameter(line.target.id, default, str(meaning))


def _literal(node: ast.expr) -> Any:
    """A value that is written out, else the text of the expression."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
