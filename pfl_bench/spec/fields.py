"""A table of values, from TOML, JSON or Python, read as a model: numbers are numbers, and what is wrong is one line."""

from collections.abc import Mapping, Sequence, Set
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from pfl_bench.errors import RequestError, nearest, shown

M = TypeVar("M", bound=BaseModel)


def read_fields(model: type[M], values: Mapping[str, Any], prefix: str) -> M:
    """Validate ``values`` as JSON would be: true is no number, nor is "5", and 2.0 is no whole number.

    RequestError, beginning with ``prefix``, names the field, the value and what would be right.
    """
    try:
        return model.model_validate_json(_json(values, prefix), strict=True)
    except ValidationError as error:
        raise RequestError(prefix + first_problem(error, model)) from error


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


def first_problem(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """The first complaint of pydantic on one line: field, value and what is wrong; a misspelt field with neighbours.

    ``model`` is what was to be read; its fields are the neighbours.
    """
    problems = error.errors()
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    field = ".".join(str(part) for part in _named(problem["loc"]))
    if problem["type"] == "missing":
        return f"{field} is missing"
    if problem["type"] == "extra_forbidden":
        return f"there is no field {shown(field)}{_neighbours(problem['loc'], problems, model)}"
    if problem["type"] == "value_error":
        return (f"{field}: " if field else "") + str(problem["ctx"]["error"])
    said = problem["msg"]
    return f"{field or 'value'}={shown(problem['input'])}: {said[0].lower()}{said[1:]}"


def _named(loc: Sequence[int | str]) -> list[int | str]:
    """A place without the names that pydantic gives to the alternatives of a union."""
    return [part for part in loc if not (isinstance(part, str) and (part in _ALTERNATIVES or "[" in part))]


_ALTERNATIVES = {"str", "int", "float", "bool", "constrained-int", "constrained-float"}


def _neighbours(loc: Sequence[int | str], problems: Sequence[Any], model: type[BaseModel] | None) -> str:
    """Names like the misspelt one: of a field that is missing there, else of all there are."""
    missing = [str(p["loc"][-1]) for p in problems if p["type"] == "missing" and p["loc"][:-1] == loc[:-1]]
    every = list(_model_at(model, loc[:-1]).model_fields) if model else []
    near = nearest(str(loc[-1]), missing, 1) or nearest(str(loc[-1]), every)
    if near:
        return f": did you mean {' or '.join(map(repr, near))}?"
    return f"; fields are {', '.join(every)}" if every else ""


def _model_at(model: type[BaseModel], loc: Sequence[int | str]) -> type[BaseModel]:
    """The model of a table within a model."""
    for part in loc:
        info = model.model_fields.get(str(part))
        kinds = (info.annotation, *get_args(info.annotation)) if info else ()
        model = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), model)
    return model
