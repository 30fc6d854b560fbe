"""What methods and scenarios are grouped by: families of ideas, and kinds of heterogeneity."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

ALIKE = "none"
"""The kind of a scenario in which nothing sets clients apart: the control, where one model for all should be best."""

KINDS = (
    ALIKE, "mild label skew", "label skew", "quantity skew", "feature shift", "concept shift", "natural clients",
    "absent clients",
)  # fmt: skip
"""In which tables have them; the last that applies is a scenario's kind."""

ALL = "all"
"""In place of a kind: all of them."""

MILD_ALPHA = 1.0
"""Dirichlet's parameter from which on most clients have most classes."""

OTHER = "other"


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("factors.toml").read_text(encoding="utf-8"))


def families() -> dict[str, list[str]]:
    """Methods by family, in the order of tables."""
    return dict(_table()["families"])


def family_of(method: str) -> str:
    """A method's family; ``other`` for one that is not the package's."""
    return next((family for family, methods in families().items() if method in methods), OTHER)


def kind_of(scenario: Mapping[str, Any]) -> str:
    """What sets a scenario's clients apart, from its definition as a run records it."""
    partition, shifts = scenario.get("partition") or {}, scenario.get("shift") or []
    renamed = _table()["shifts"]["labels"]
    rule = partition.get("rule")
    mild = float(partition.get("alpha") or 0) >= MILD_ALPHA
    applies = {
        "mild label skew": mild,
        "label skew": rule not in (None, "iid", "natural") and not mild,
        "quantity skew": bool(partition.get("quantity")),
        "feature shift": any(shift["rule"] not in renamed for shift in shifts),
        "concept shift": any(shift["rule"] in renamed for shift in shifts),
        "natural clients": rule == "natural",
        "absent clients": bool(scenario.get("availability")),
    }
    return next((kind for kind in reversed(KINDS) if applies.get(kind)), ALIKE)
