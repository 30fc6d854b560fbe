"""What takes part in a table: a method, or one of its variants, told apart by the fields in which they differ."""

import json

import pandas as pd


def variants(runs: pd.DataFrame) -> pd.Series:
    """Per row, the fields (``lr=0.1, mu=0.2``) in which its configuration differs from others of its method.

    Only configurations in the same scenario are told apart; "" where a method has one. Needs ``scenario``,
    ``method``, ``config_hash`` and ``config`` (JSON).
    """
    labels = pd.Series("", index=runs.index, dtype=object)
    for _, part in runs.groupby(["scenario", "method"], sort=False):
        configs = {key: _fields(text) for key, text in zip(part["config_hash"], part["config"], strict=True)}
        if len(configs) < 2:
            continue
        names = dict.fromkeys(name for config in configs.values() for name in config)
        differing = [n for n in names if len({json.dumps(c.get(n), sort_keys=True) for c in configs.values()}) > 1]
        text = {key: ", ".join(f"{n}={c.get(n)}" for n in differing) for key, c in configs.items()}
        labels[part.index] = part["config_hash"].map(text)
    return labels


def entries(runs: pd.DataFrame) -> pd.Series:
    """Per row, the method's name, with its variant in brackets where there are several."""
    names = [entry_name(method, variant) for method, variant in zip(runs["method"], variants(runs), strict=True)]
    return pd.Series(names, index=runs.index, dtype=object)


def entry_name(method: object, variant: str) -> str:
    """``pfedhn (hidden=50)``: the method, with its variant in brackets where it has one."""
    return f"{method} ({variant})" if variant else str(method)


def _fields(config: str) -> dict[str, object]:
    try:
        fields = json.loads(config)
    except (TypeError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}
