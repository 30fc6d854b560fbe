"""What takes part in a table: a method, or one of its variants, told apart by the fields in which they differ."""

import json
from collections import Counter

import pandas as pd


def variants(runs: pd.DataFrame) -> pd.Series:
    """Per row, the fields (``lr=0.1, mu=0.2``) in which its configuration differs from others of its method, and its
    code where that does (``comparable.tell_apart``).

    Only configurations in the same scenario are told apart; "" where a method has one. Needs ``scenario``,
    ``method``, ``config_hash``, ``config`` (JSON) and, where it is known, ``code_label``.
    """
    labels = pd.Series("", index=runs.index, dtype=object)
    for _, part in runs.groupby(["scenario", "method"], sort=False):
        configs: dict[str, dict[str, object]] = {}
        for key, config in zip(part["config_hash"], part["config"], strict=True):
            configs[key] = configs.get(key, {}) | _fields(config)  # older runs lack the fields that came later
        if len(configs) < 2:
            continue
        names = dict.fromkeys(name for config in configs.values() for name in config)
        differing = [n for n in names if len({json.dumps(c.get(n), sort_keys=True) for c in configs.values()}) > 1]
        text = {key: ", ".join(f"{n}={c.get(n)}" for n in differing) for key, c in configs.items()}
        same = Counter(text.values())  # of two versions of a method, say
        text = {key: own if same[own] == 1 else _joined(own, f"config {key[:6]}") for key, own in text.items()}
        labels[part.index] = part["config_hash"].map(text)
    if "code_label" not in runs:
        return labels
    joined = [_joined(own, code) for own, code in zip(labels, runs["code_label"], strict=True)]
    return pd.Series(joined, index=runs.index, dtype=object)


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def entries(runs: pd.DataFrame) -> pd.Series:
    """Per row, the method's name, with its variant in brackets where there are several."""
    names = [entry_name(method, variant) for method, variant in zip(runs["method"], variants(runs), strict=True)]
    return pd.Series(names, index=runs.index, dtype=object)


def one_name_each(runs: pd.DataFrame) -> pd.Series:
    """``entries``, but a configuration that has a variant's name in one scenario has it in those too where it is the
    only one of its method. For what speaks of several scenarios."""
    names = entries(runs)
    pairs = list(zip(runs["config_hash"], names, strict=True))
    known = {key: name for key, name in pairs if name.endswith(")")}
    return pd.Series(
        [known.get(key, name) if not name.endswith(")") else name for key, name in pairs],
        index=names.index,
        dtype=object,
    )


def entry_name(method: object, variant: str) -> str:
    """``pfedhn (hidden=50)``: the method, with its variant in brackets where it has one."""
    return f"{method} ({variant})" if variant else str(method)


def _fields(config: str) -> dict[str, object]:
    try:
        fields = json.loads(config)
    except (TypeError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}
