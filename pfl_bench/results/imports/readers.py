"""Files of others with results in them, read by their kind."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pfl_bench.errors import RequestError, no_file, shown, unknown

from .csv import read_csv
from .figures import LONGEST, Figure
from .pfllib import read_h5
from .wanted import PICKS, UNITS, Wanted

MOST_BYTES = 2**28

READERS: Mapping[str, Callable[[Sequence[Path], Wanted], list[Figure]]] = {".h5": read_h5, ".csv": read_csv}
"""A further kind of file is one module and one entry here."""


def read_figures(files: Sequence[Path], wanted: Wanted) -> list[Figure]:
    """The figures in some files, one per scenario and method. RequestError names the file, the row or the column."""
    if wanted.unit not in UNITS:
        raise unknown("unit", wanted.unit, UNITS)
    if wanted.pick not in PICKS:
        raise unknown("figure", wanted.pick, PICKS)
    for key, text in (("source", wanted.source), ("method", wanted.method), ("scenario", wanted.scenario)):
        if text is not None and not 0 < len(text.strip()) <= LONGEST:
            raise RequestError(f"--{key}: {shown(text)} must be a text of 1 to {LONGEST} characters")
    kinds = {path.suffix.lower() for path in files}
    if len(kinds) != 1 or not kinds <= READERS.keys():
        listed = ", ".join(shown(path.name) for path in files[:3])
        raise RequestError(f"files must be all .h5 or all .csv, found {listed}")
    for path in files:
        if not path.is_file():
            raise RequestError(no_file(path))
        if path.stat().st_size > MOST_BYTES:
            raise RequestError(f"{shown(str(path), 200)} has more than {MOST_BYTES // 2**20} MiB")
    return READERS[kinds.pop()](files, wanted)
