"""Published results in the package: a compressed file per suite, of the frames and not of the runs.

``python -m pfl_bench.testing.ship`` makes them from ``results/published``; a test holds them to it. A file is as
``results.packed`` has it.
"""

from importlib import resources

import pandas as pd

from pfl_bench.errors import unknown
from pfl_bench.results.packed import loads

ENDING = ".json.gz"


def names() -> list[str]:
    """Suites with published results."""
    files = (place.name for place in resources.files(__name__).iterdir())
    return sorted(name.removesuffix(ENDING) for name in files if name.endswith(ENDING))


def frames(name: str) -> dict[str, pd.DataFrame]:
    """``runs``, ``clients`` and ``curves`` of a suite (``loaded.Results``); RequestError where none is published."""
    if name not in names():
        raise unknown("published suite", name, names())
    return loads(resources.files(__name__).joinpath(name + ENDING).read_bytes())
