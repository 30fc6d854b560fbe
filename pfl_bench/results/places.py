"""Which folders hold results: a suite's, with its runs in it, or one that holds those of several suites."""

import os
from pathlib import Path

from pfl_bench.errors import RequestError
from pfl_bench.text import shortened

PACKED = "runs.json.gz"
"""The file in a suite's folder with the runs that have no folder of their own (``packed``)."""
LONGEST = 200


def is_suite_folder(folder: Path) -> bool:
    """Whether a folder holds a suite's runs, in their folders or packed."""
    return os.path.isdir(folder / "runs") or os.path.isfile(folder / PACKED)  # noqa: PTH112, PTH113 (Path's own fail where the name is too long)


def places_in(folder: Path) -> dict[str, Path]:
    """The suites' folders in a folder, by name. OSError where it may not be looked into."""
    places = sorted({path.parent for name in ("runs", PACKED) for path in folder.glob(f"*/{name}")})
    return {place.name: place for place in places if is_suite_folder(place)}


def check_suite_folder(folder: Path) -> None:
    """RequestError unless it does."""
    if not is_suite_folder(folder):
        suites = sorted(str(place) for place in places_in(folder).values())
        hint = f"; did you mean {suites[0]}?" if suites else ""
        raise RequestError(f"{_shown(folder)} is no results folder; it has no folder 'runs'{hint}")


def suite_folders(folder: Path) -> dict[str, Path]:
    """The suites' folders by name: the folder itself, or those in it. RequestError where there is none."""
    if is_suite_folder(folder):
        return {folder.resolve().name: folder}
    try:
        found = places_in(folder)
    except OSError:  # the name is too long for a folder's, or its place may not be looked into
        found = {}
    if not found:
        raise RequestError(f"{_shown(folder)} is no results folder; neither it nor one in it has a folder 'runs'")
    return found


def _shown(folder: Path) -> str:
    return shortened(repr(str(folder)), LONGEST)
