"""The page of a suite's fields says what the models say."""

from pathlib import Path

import pytest

from pfl_bench.registry import PARTITIONS, SHIFTS
from pfl_bench.spec.scenario import Scenario
from pfl_bench.testing.suite_reference import kind, reference

PAGE = Path(__file__).parents[3] / "docs" / "suite_reference.md"


def test_the_page_is_what_the_models_make_it():
    """Else: ``pfl-bench pages docs/methods --suite-reference docs/suite_reference.md``."""
    assert PAGE.read_text(encoding="utf-8") == reference()


def test_every_field_and_rule_is_on_it():
    text = reference()
    assert all(f"| `{name}` |" in text for name in [*Scenario.model_fields, "variants", "hyperparameters_at"])
    assert all(f"`{entry.name}`" in text for registry in (PARTITIONS, SHIFTS) for entry in registry)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "integer", "exclusiveMinimum": 0, "maximum": 100000}, "whole number, above 0, at most 100,000"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"enum": ["a", "b"]}, '`"a"` or `"b"`'),
        ({"type": "array", "items": {"anyOf": [{"type": "number"}, {"const": 1}]}}, 'list, each number or `"1"`'),
        ({"$ref": "#/$defs/X"}, "table"),
        ({"type": "array"}, "list"),
    ],
)  # fmt: skip
def test_types_in_words(schema, said):
    assert kind(schema) == said
