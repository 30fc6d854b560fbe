"""What a data source says of its data (``Dataset.facts``), made comparable."""

import json
from collections.abc import Mapping
from typing import Any

DIGITS = 9
"""So many of a figure count: the last bits of a mean may be the processor's, and inputs are standardised in float32."""


def facts_text(facts: Mapping[str, Any]) -> str:
    """The same text for the same facts, figures to ``DIGITS`` significant digits.

    >>> facts_text({"mean": [0.3048547052687556]}) == facts_text({"mean": [0.3048547052687557]})
    True
    """
    return json.dumps(_rounded(facts), sort_keys=True, default=str)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {str(name): _rounded(own) for name, own in value.items()}
    return [_rounded(own) for own in value] if isinstance(value, list | tuple) else value
