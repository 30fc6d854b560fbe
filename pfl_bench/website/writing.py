"""A site on disk: files of an earlier one that are no part of this one go, and nothing else is touched."""

import json
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from pfl_bench.errors import RequestError, shown
from pfl_bench.results.files import Unreadable, read_json, write_text

MANIFEST = "pfl-bench-site.json"
"""Names every file of the site, so that the next one knows which were its predecessor's."""


def check_target(folder: Path) -> list[str]:
    """The files of the site that is there already. RequestError where ``folder`` holds anything else than a site, or
    cannot be a folder."""
    try:
        if not folder.is_dir():
            if folder.exists():
                raise RequestError(f"--out: {shown(str(folder))} is no folder")
            return []
        if not any(folder.iterdir()):
            return []
        listed = read_json(folder / MANIFEST)
    except Unreadable as error:
        raise RequestError(
            f"--out: {shown(str(folder))} is not empty and is no site of pfl-bench ({error}); name a new folder"
        ) from error
    except OSError as error:
        raise RequestError(f"--out: {shown(str(folder))} cannot be used: {error.strerror}") from error
    names = listed.get("files") if isinstance(listed, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError(f"--out: {shown(str(folder))}: {MANIFEST} does not list its files; name a new folder")
    return names


def write_site(folder: Path, files: Iterable[tuple[str, str]]) -> list[Path]:
    """Write the files, text by place below ``folder``, and remove those of the site that was there. RequestError as
    ``check_target``; an OSError (a full disk) leaves whole files only."""
    before = check_target(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"--out: {shown(str(folder))} cannot be written: {error.strerror}") from error
    written: dict[str, Path] = {}
    for place, text in files:
        target = folder / place
        _check_place(folder, place)
        target.parent.mkdir(parents=True, exist_ok=True)
        written[place] = write_text(target, text)
    for name in set(before) - set(written):
        old = PurePosixPath(name)
        if not old.is_absolute() and ".." not in old.parts and _is_own_file(folder, name):
            (folder / old).unlink()
    write_text(folder / MANIFEST, json.dumps({"files": list(written)}, indent=1) + "\n")
    return list(written.values())


def _check_place(folder: Path, place: str) -> None:
    """RequestError where a page's file or one of its folders is something else already: a link out of the site, say."""
    path = folder
    *above, _ = PurePosixPath(place).parts
    for part in above:
        path /= part
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise RequestError(f"--out: {shown(str(path))} is no folder of a site; remove it, or name a new folder")
    if (folder / place).is_dir():
        raise RequestError(f"--out: {shown(str(folder / place))} is a folder; remove it, or name a new one")


def _is_own_file(folder: Path, name: str) -> bool:
    """Whether a listed name is a file in the site's own folders; what no file can be called is none."""
    above = [folder / part for part in PurePosixPath(name).parents if part.name]
    try:
        linked = any(path.is_symlink() for path in above)
    except (OSError, ValueError):
        return False
    return not linked and os.path.isfile(folder / name)  # noqa: PTH113 (Path's own fails on a long name)
