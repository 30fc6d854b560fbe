"""The runs behind every row, compactly: what many runs have in common is written once."""

import json
from typing import Any

import pandas as pd

from pfl_bench.results.columns import catalogue
from pfl_bench.text import HIDDEN, printable


def run_details(runs: pd.DataFrame) -> dict[str, Any]:
    """``groups``: row positions per group; ``rows``: own values, then positions in ``values`` for the shared ones."""
    own_names, shared_names = ([c.key for c in catalogue() if c.details == kind] for kind in ("own", "shared"))
    values: dict[str, list[Any]] = {}
    columns = []
    for name in shared_names:
        codes, distinct = pd.factorize(runs[name].astype(object).where(runs[name].notna(), None), use_na_sentinel=True)
        values[name] = [_plain(value) for value in distinct]
        columns.append(codes.tolist())
    own = [[_plain(value) for value in runs[name]] for name in own_names]
    groups: dict[str, list[int]] = {}
    for position, group in enumerate(runs["group"]):
        groups.setdefault(group, []).append(position)
    rows = [list(row) for row in zip(*own, *columns, strict=True)] if len(runs) else []
    return {"own": own_names, "shared": shared_names, "values": values, "rows": rows, "groups": groups}


def _plain(value: Any) -> Any:
    """Something JSON can say; floats to six significant digits."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return None
    if isinstance(value, str):
        return value
    number = float(value)
    return int(number) if number.is_integer() else float(f"{number:.6g}")


def embedded(data: Any) -> str:
    """JSON that can stand inside a ``<script>``: nothing in it can end the element or start a comment.

    Of hidden characters its texts have the escapes, as the rest of the page has.
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return HIDDEN.sub(lambda found: "\\" + printable(found[0]), text)
