"""What pydantic says of a wrong value, on one line and in our words: the field, the value and what would be right."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from pfl_bench.errors import nearest, shown

Problem = Mapping[str, Any]
Place = Sequence[int | str]

WORDS: Mapping[str, str] = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "a text",
    "bool_type": "true or false",
    "list_type": "a list, [ ... ]",
    "tuple_type": "a list, [ ... ]",
    "dict_type": "a table, {{ ... }}",
    "model_type": "a table, {{ field = value }}",
    "model_attributes_type": "a table, {{ field = value }}",
    "too_short": "a list of at least {min_length}",
    "string_pattern_mismatch": "a text of the form {pattern}",
}
"""What a value must be, by pydantic's type of a complaint, where its own words are those of a programmer; in braces
what it knows beside that."""

_SHOULD_BE = "Input should be "


def first_problem(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """The first complaint on one line; of a misspelt field with its neighbours.

    ``model`` is what was to be read; its fields are the neighbours.
    """
    problems = error.errors()
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    say = _SAID.get(problem["type"], _wrong_value)
    return say(_written(problem["loc"], model), problem, problems, model)


Say = Callable[[str, Problem, Sequence[Any], type[BaseModel] | None], str]


def _missing(field: str, problem: Problem, problems: Sequence[Any], model: type[BaseModel] | None) -> str:
    return f"{field} is missing"


def _unknown_field(field: str, problem: Problem, problems: Sequence[Any], model: type[BaseModel] | None) -> str:
    return f"there is no field {shown(field)}{_neighbours(problem['loc'], problems, model)}"


def _refused(field: str, problem: Problem, problems: Sequence[Any], model: type[BaseModel] | None) -> str:
    """By a validator of ours, in its own words."""
    return (f"{field}: " if field else "") + str(problem["ctx"]["error"])


def _no_tag(field: str, problem: Problem, problems: Sequence[Any], model: type[BaseModel] | None) -> str:
    tag = problem["ctx"]["discriminator"].strip("'")
    tags = dict.fromkeys(own for kind in models_at(model, problem["loc"]) for own in _choices(kind, tag))
    return f"{field}.{tag} is missing; it must be {' or '.join(map(repr, tags))}"


def _wrong_tag(field: str, problem: Problem, problems: Sequence[Any], model: type[BaseModel] | None) -> str:
    told = problem["ctx"]
    choices = " or ".join(told["expected_tags"].split(", "))
    return f"{field}.{told['discriminator'].strip(chr(39))}={shown(told['tag'])} must be {choices}"


def _wrong_value(field: str, problem: Problem, problems: Sequence[Any], model: type[BaseModel] | None) -> str:
    """Where a value may be of several kinds pydantic complains of each; all that would be right is told."""
    place = _written(problem["loc"], model)
    wanted = dict.fromkeys(_wanted(p) for p in problems if _written(p["loc"], model) == place)
    said = problem["msg"]
    words = f" must be {' or '.join(wanted)}" if "" not in wanted else f": {said[0].lower()}{said[1:]}"
    return f"{field or 'value'}={shown(problem['input'])}{words}"


_SAID: Mapping[str, Say] = {
    "missing": _missing,
    "extra_forbidden": _unknown_field,
    "value_error": _refused,
    "union_tag_not_found": _no_tag,
    "union_tag_invalid": _wrong_tag,
}


def _wanted(problem: Problem) -> str:
    """What a value must be, or "" where pydantic says that in another form."""
    said = problem["msg"]
    own = said.removeprefix(_SHOULD_BE) if said.startswith(_SHOULD_BE) else ""
    if problem["type"] in ("list_type", "tuple_type") and isinstance(problem["input"], dict):
        return "a list, [ ... ]; a list of tables has its heading in double brackets, [[ ]]"
    return WORDS.get(problem["type"], own.replace("{", "{{").replace("}", "}}")).format(**problem.get("ctx", {}))


def _written(loc: Place, model: type[BaseModel] | None) -> str:
    """A place as it is written in a table, without the names that pydantic gives to the alternatives of a union."""
    named: list[str] = []
    for depth, part in enumerate(loc):
        fields = {name for kind in models_at(model, loc[:depth]) for name in kind.model_fields}
        alternative = isinstance(part, str) and (part in _ALTERNATIVES or "[" in part)
        tag = bool(fields) and isinstance(part, str) and part not in fields and depth < len(loc) - 1
        if not (alternative or tag):
            named.append(str(part))
    return ".".join(named)


_ALTERNATIVES = {"str", "int", "float", "bool", "constrained-int", "constrained-float"}


def _neighbours(loc: Place, problems: Sequence[Any], model: type[BaseModel] | None) -> str:
    """Names like the misspelt one: of a field that is missing there, else of all there are."""
    missing = [str(p["loc"][-1]) for p in problems if p["type"] == "missing" and p["loc"][:-1] == loc[:-1]]
    every = list(dict.fromkeys(name for kind in models_at(model, loc[:-1]) for name in kind.model_fields))
    near = nearest(str(loc[-1]), missing, 1) or nearest(str(loc[-1]), every)
    if near:
        return f": did you mean {' or '.join(map(repr, near))}?"
    return f"; fields are {', '.join(every)}" if every else ""


def models_at(model: type[BaseModel] | None, loc: Place) -> list[type[BaseModel]]:
    """What a table at a place within a model may be: several where a tag tells them apart, until it is named."""
    found = [model] if model is not None else []
    for part in loc:
        fields = [kind.model_fields[str(part)] for kind in found if str(part) in kind.model_fields]
        if fields:
            found = [kind for info in fields for kind in tables_in(info.annotation)]
        else:  # the place in a list, or a tag
            found = [kind for kind in found if _is_tagged(kind, part)] or found
    return found


def tables_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field's type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [kind for inner in get_args(annotation) for kind in tables_in(inner)]


def _is_tagged(kind: type[BaseModel], tag: int | str) -> bool:
    return any(tag in _choices(kind, name) for name in kind.model_fields)


def _choices(kind: type[BaseModel], field: str) -> tuple[Any, ...]:
    """The values of a field that has a few only."""
    annotation = kind.model_fields[field].annotation
    return get_args(annotation) if get_origin(annotation) is Literal else ()
