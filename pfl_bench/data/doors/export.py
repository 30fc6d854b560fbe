"""A split into a folder, whole or not at all."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pfl_bench.errors import RequestError, one_line, shown

from .formats import find_format
from .manifest import write_manifest
from .split import Split


def export_split(split: Split, to: str, folder: Path) -> Sequence[str]:
    """Write a split into ``folder``, which must not be there yet, in the form ``to`` (``FORMATS``).

    Returns what the user should know. RequestError for an unknown form, a folder that is there, and where nothing can
    be written; then nothing is left.
    """
    form = find_format(to)
    if folder.exists() or folder.is_symlink():
        raise RequestError(f"{shown(str(folder), 200)} is there already; remove it, or give another --out")
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        beside.mkdir(parents=True)
        notes = form.write(split, beside)
        write_manifest(split, to, beside)
        beside.rename(folder)
    except OSError as error:
        raise RequestError(f"{shown(str(folder), 200)} could not be written: {one_line(error)}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return [note.replace(str(beside), str(folder)) for note in notes]
