"""Published results in the package: a compressed file per suite, of the frames and not of the runs.

``python -m pfl_bench.testing.ship`` makes them from ``results/published``; a test holds them to it. A file is gzipped
JSON, ``{table: {column: [value per row]}}``, so that every figure comes back as it was.
"""

import gzip
import json
from importlib import resources
from typing import Any

import pandas as pd

from pfl_bench.errors import unknown
from pfl_bench.results.run_tables import LABELS

ENDING = ".json.gz"
SPARSE = ("clients", "curves")
"""Tables with a row per client or evaluation: they name a run by its row among the runs."""


def names() -> list[str]:
    """Suites with published results."""
    files = (place.name for place in resources.files(__name__).iterdir())
    return sorted(name.removesuffix(ENDING) for name in files if name.endswith(ENDING))


def frames(name: str) -> dict[str, pd.DataFrame]:
    """``runs``, ``clients`` and ``curves`` of a suite (``loaded.Results``); RequestError where none is published."""
    if name not in names():
        raise unknown("published suite", name, names())
    return loads(resources.files(__name__).joinpath(name + ENDING).read_bytes())


def dumps(tables: dict[str, pd.DataFrame]) -> bytes:
    """The file; the same bytes for the same tables and version of zlib."""
    number = {run_id: row for row, run_id in enumerate(tables["runs"]["run_id"])}
    content = {"runs": _columns(tables["runs"])}
    for name in SPARSE:
        table = tables[name]
        own = table.drop(columns=[column for column in LABELS if column in table]).assign(
            run=table["run_id"].map(number)
        )
        content[name] = _columns(own)
    return gzip.compress(json.dumps(content, separators=(",", ":"), allow_nan=False).encode(), mtime=0)


def loads(data: bytes) -> dict[str, pd.DataFrame]:
    """The inverse of ``dumps``."""
    content = json.loads(gzip.decompress(data))
    runs = pd.DataFrame(content["runs"])
    found = {"runs": runs}
    for name in SPARSE:
        table = pd.DataFrame(content[name])
        rows = table.pop("run").to_numpy(dtype=int)
        labels = {label: runs[label].to_numpy()[rows] for label in LABELS if label in runs}
        found[name] = table.assign(**labels)
    return found


def _columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Per column its values as JSON has them; what is missing is null."""
    return {str(name): [None if pd.isna(v) else v for v in table[name].tolist()] for name in table}
