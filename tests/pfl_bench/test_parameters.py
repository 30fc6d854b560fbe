"""Parameters as they are read from a file's text and from the models themselves: the same."""

import pytest
from pydantic import BaseModel, Field

from pfl_bench.api import RuleConfig, ShiftConfig
from pfl_bench.parameters import Parameter, of_model
from pfl_bench.registry import PARTITIONS, SHIFTS
from pfl_bench.shelves import offers


@pytest.mark.parametrize(("registry", "base"), [(PARTITIONS, RuleConfig), (SHIFTS, ShiftConfig)])
def test_what_is_read_is_what_importing_finds(registry, base):
    read = {
        offer.name: list(offer.parameters) for offer in offers(registry.package, registry.decorator, registry.group)
    }
    assert {name: of_model(registry.get(name).config, beyond=base) for name in read} == read
    assert any(read.values())


def test_defaults_are_written_as_in_a_suite():
    class Inner(BaseModel):
        pass

    class Outer(BaseModel):
        needed: int = Field(description="must be there")
        flag: bool = False
        text: str = "a"
        several: tuple[int, ...] = (1, 2)
        none: int | None = None
        table: Inner = Inner()

    assert of_model(Outer) == [
        Parameter("needed", "required", "must be there"), Parameter("flag", "false", ""), Parameter("text", '"a"', ""),
        Parameter("several", "[1, 2]", ""), Parameter("none", "none", ""), Parameter("table", "{}", ""),
    ]  # fmt: skip
