"""Files as their sources distribute them: found in the data directory, or downloaded."""

import shutil
import tarfile
import urllib.request
import zipfile
from pathlib import Path

from pfl_bench.errors import RequestError
from pfl_bench.text import counted

from .store import DataRequest

SECONDS = 60
"""How long a server may be silent."""

MOST_BYTES = 2**31
"""Of a download."""


def original_file(request: DataRequest, name: str, *files: str) -> Path | None:
    """The first of these files that lies in the data directory or its folder ``name``; None if none does."""
    for folder in (request.data_dir / name, request.data_dir):
        for file in files:
            if (folder / file).is_file():
                return folder / file
    return None


def download(url: str, folder: Path) -> Path:
    """Fetch a file into a folder. What urllib raises is for ``stored_arrays`` to put into words."""
    place = folder / url.partition("?")[0].rpartition("/")[2]
    asked = urllib.request.Request(url, headers={"User-Agent": "pfl-bench"})
    with urllib.request.urlopen(asked, timeout=SECONDS) as answer, place.open("wb") as file:
        if int(answer.headers.get("Content-Length") or 0) > MOST_BYTES:
            raise RequestError(f"{url} has more than {MOST_BYTES} bytes")
        shutil.copyfileobj(answer, file)
    return place


def member(archive: Path, ending: str, folder: Path) -> Path:
    """The one file of a ``.tar.gz`` or ``.zip`` whose name ends so, unpacked into a folder under that ending alone."""
    place = folder / ending.rpartition("/")[2]
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            found = [name for name in zipped.namelist() if name.endswith(ending)]
            if len(found) == 1:
                place.write_bytes(zipped.read(found[0]))
    else:
        with tarfile.open(archive) as tar:
            inside = [info for info in tar.getmembers() if info.name.endswith(ending) and info.isfile()]
            found = [info.name for info in inside]
            content = tar.extractfile(inside[0]) if len(inside) == 1 else None
            if content is not None:
                place.write_bytes(content.read())
    if len(found) != 1:
        raise RequestError(f"{archive.name} has {counted(len(found), 'file')} with the ending {ending!r}, not one")
    return place
