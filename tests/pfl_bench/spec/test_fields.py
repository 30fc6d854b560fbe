"""Numbers are numbers, in suites, in ``--set`` and in rules; and a configuration is what JSON makes of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, SecretStr

from pfl_bench.engine.method import LocalSgdConfig
from pfl_bench.errors import RequestError
from pfl_bench.spec.config import MethodConfig
from pfl_bench.spec.fields import check_written, read_fields
from pfl_bench.spec.scenario import Scenario

SCENARIO = {
    "id": "a-v1", "dataset": "digits", "partition": {"rule": "iid"}, "clients": 4, "model": "mlp", "visits": 100,
    "local_steps": 5, "batch_size": 8, "eval_every": 10,
}  # fmt: skip


def scenario(**changes) -> Scenario:
    return read_fields(Scenario, {**SCENARIO, **changes}, "")


@pytest.mark.parametrize("value", [True, "5", 2.0, 0, -1, 10**20, "x", [], float("nan")])
@pytest.mark.parametrize("field", ["clients", "visits", "local_steps", "batch_size", "eval_every", "adapt_steps"])
def test_a_count_is_a_whole_number(field, value):
    with pytest.raises(RequestError, match=rf"^{field}="):
        scenario(**{field: value})


@pytest.mark.parametrize("value", [True, "0.1", [], 10**400, float("inf"), None])
def test_a_number_is_a_number(value):
    with pytest.raises(RequestError, match="^lr="):
        read_fields(LocalSgdConfig, {"lr": value}, "")
    assert read_fields(LocalSgdConfig, {"lr": 1}, "").lr == 1.0


def test_lists_from_toml_and_tuples_from_python_are_alike():
    assert scenario(model=["mlp", "mlp_wide"]) == scenario(model=("mlp", "mlp_wide"))
    assert scenario(novel=1, enroll={"samples": [5, "all"]}).enroll.samples == (5, "all")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": []}, "model: 0 client models for 4 training clients"),
        ({"novel": 4}, "novel=4: of 4 clients at least one must train"),
        ({"novel": 1, "enroll": {"samples": []}}, "enroll.samples=[] must be a list of at least 1"),
        ({"novel": 1, "enroll": {"samples": [True]}}, "enroll.samples.0=True must be a whole number or 'all'"),
        ({"partition": {}}, "partition: give a 'rule' or a 'file'"),
        ({"partition": {"rule": "iid", "file": "p.npz"}}, "partition: give a 'rule' or a 'file', not both"),
        ({"partition": {"rule": "iid", "sha256": "0" * 64}}, "partition: 'sha256' has no meaning beside a rule"),
        ({"partition": {"file": "p.npz", "classes": 2}}, "partition: 'classes' has no meaning beside a file"),
        ({"partition": {"file": "p.npz", "sha256": "00"}}, "partition.sha256='00' must be a text of the form"),
        ({"id": "con"}, "id: the name 'con' is reserved by Windows"),
        ({"id": "a."}, "id: the name 'a.' ends in '.'"),
        ({"id": "x" * 101}, "id: the name "),
        ({"dataset": ["x" * 10_000]}, "dataset=['xxx"),
    ],
)
def test_what_is_wrong_is_named_at_a_bounded_length(changes, said):
    with pytest.raises(RequestError) as caught:
        scenario(**changes)
    assert str(caught.value).startswith(said) and len(str(caught.value)) < 300 and "\n" not in str(caught.value)


def test_a_misspelt_field_is_shown_with_its_neighbours_and_not_with_the_whole_table():
    misspelt = {**SCENARIO, "local_epochs": 5}
    del misspelt["local_steps"]
    with pytest.raises(RequestError) as caught:
        read_fields(Scenario, misspelt, "")
    assert str(caught.value) == "there is no field 'local_epochs': did you mean 'local_steps'?"
    with pytest.raises(RequestError, match=r"no field 'batchsize': did you mean 'batch_size'( or '\w+')*\?$"):
        scenario(batchsize=3)
    with pytest.raises(RequestError, match=r"no field 'enroll.step': did you mean 'steps'\?$"):
        scenario(novel=1, enroll={"step": 3})
    with pytest.raises(RequestError, match="^visits is missing$"):
        read_fields(Scenario, {k: v for k, v in SCENARIO.items() if k != "visits"}, "")


def config(annotation: Any, default: Any) -> MethodConfig:
    body = {"__annotations__": {"extra": annotation}, "extra": default, "__module__": __name__}
    return type("Config", (MethodConfig,), body)()


@pytest.mark.parametrize(
    ("annotation", "default", "said"),
    [
        (Callable, print, "extra=<built-in function print> cannot be written as JSON"),
        (Any, object(), "extra=<object object at .*> cannot be written as JSON"),
        (Any, (1, 2), r"extra=\(1, 2\) comes back from JSON as \[1, 2\]"),
        (Any, float("nan"), "extra=nan"),
        (SecretStr, SecretStr("a"), "extra=SecretStr.* comes back from JSON as"),
        (str, "\ud800", "extra='.ud800' cannot be written as JSON"),
        (int, "x", "extra='x' must be a whole number, when it is read back from JSON"),
    ],
)
def test_a_configuration_that_is_not_what_json_makes_of_it_is_refused_by_its_name(annotation, default, said):
    with pytest.raises(RequestError, match=f"^m: {said}"):
        check_written(config(annotation, default), "m: ")


@pytest.mark.parametrize(
    ("annotation", "default"),
    [(list[int], [1]), (tuple[float, ...], (1.0,)), (Path, Path("a")), (dict[str, float], {"a": 0.1}),
     (Literal["a"], "a"), (float | None, None)],
)  # fmt: skip
def test_other_configurations_are_fine(annotation, default):
    check_written(config(annotation, default), "m: ")


def test_a_set_is_refused_because_its_order_changes():
    class Ordered(BaseModel):
        names: frozenset[str] = frozenset({"a", "b"})
        nested: dict[str, list[frozenset[int]]] = {"x": [frozenset({1})]}

    with pytest.raises(RequestError, match=r"names=frozenset\(.*is a set, which has another order in every process"):
        check_written(Ordered(), "method 'm': ")
    with pytest.raises(RequestError, match="nested="):
        check_written(Ordered.model_construct(names=(), nested={"x": [frozenset({1})]}), "")
