"""A table of values, from TOML, JSON or Python, read as a model: numbers are numbers, and what is wrong is one line."""

import json
from collections.abc import Mapping, Set
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from pfl_bench.errors import RequestError, shown

from .problems import first_problem

M = TypeVar("M", bound=BaseModel)


def read_fields(model: type[M], values: Mapping[str, Any], prefix: str) -> M:
    """Validate ``values`` as JSON would be: true is no number, nor is "5", and 2.0 is no whole number.

    RequestError, beginning with ``prefix``, names the field, the value and what would be right.
    """
    try:
        return model.model_validate_json(_json(values, prefix), strict=True)
    except ValidationError as error:
        raise RequestError(prefix + first_problem(error, model)) from error


def plain_values(config: BaseModel) -> dict[str, Any]:
    """The fields as JSON has them, lists and text for tuples and enumerations: what travels to who loads a plug-in."""
    return {name: to_jsonable_python(v, inf_nan_mode="constants") for name, v in config.model_dump().items()}


def inline_table(values: Mapping[str, Any]) -> str:
    """The values as a suite's file has them, without those that are None: a default, which TOML cannot write.

    >>> inline_table({"lr": 0.1, "how": "fo", "sizes": [1, 2], "embedding": None})
    '{ lr = 0.1, how = "fo", sizes = [1, 2] }'
    """
    there = {name: json.dumps(value, ensure_ascii=False) for name, value in values.items() if value is not None}
    return f"{{ {', '.join(f'{name} = {text}' for name, text in there.items())} }}"


def check_written(config: BaseModel, prefix: str) -> None:
    """RequestError, by its name, for a field that JSON cannot hold: a run is recorded, and travels, as JSON."""
    for field in type(config).model_fields:
        if _holds_a_set(getattr(config, field)):
            said = f"{prefix}{field}={shown(getattr(config, field))}"
            raise RequestError(f"{said} is a set, which has another order in every process; use a tuple or a list")
    written = _json(config.model_dump(warnings=False), prefix)
    try:
        read = type(config).model_validate_json(written, strict=True)
    except ValidationError as error:
        raise RequestError(f"{prefix}{first_problem(error)}, when it is read back from JSON") from error
    for field in type(config).model_fields:
        if getattr(read, field) != getattr(config, field):
            raise RequestError(
                f"{prefix}{field}={shown(getattr(config, field))} comes back from JSON as {shown(getattr(read, field))}"
            )


def _holds_a_set(value: Any) -> bool:
    if isinstance(value, BaseModel):
        return any(_holds_a_set(getattr(value, field)) for field in type(value).model_fields)
    if isinstance(value, Mapping):
        return any(map(_holds_a_set, value.values()))
    return isinstance(value, Set) or (isinstance(value, list | tuple) and any(map(_holds_a_set, value)))


def _json(values: Mapping[str, Any], prefix: str) -> bytes:
    try:
        return to_json(dict(values), inf_nan_mode="constants")
    except (PydanticSerializationError, ValueError, RecursionError):
        field = next((name for name, value in values.items() if not _has_json(value)), "value")
        raise RequestError(f"{prefix}{field}={shown(values.get(field))} cannot be written as JSON") from None


def _has_json(value: Any) -> bool:
    try:
        to_json(value)
    except (PydanticSerializationError, ValueError, RecursionError):
        return False
    return True
