"""What a killed driver leaves behind in ``runs/``, and what is there but is none of ours.

Ours is removed or finished. What is not ours is never removed: where it stands in a run's way it is moved to
``aside/``, and named.
"""

import itertools
import os
import shutil
from pathlib import Path

from .record import RUN, find_record

CHECKPOINT, ERROR, ASIDE, MODELS = "checkpoint.bin", "error.txt", "aside.json", "models.safetensors"
STAGED, REPLACED, BEGUN = ".new", ".old", ".next"
"""Endings of folders beside a run's: being written; about to be removed; the unfinished successor of a final run."""

_OURS = {RUN, CHECKPOINT, ERROR, ASIDE, MODELS, "checkpoint.safetensors"}  # the last: of earlier versions


def beside(place: Path, ending: str) -> Path:
    """The folder beside a run's for one of these purposes."""
    return place.with_name(f".{place.name}{ending}")


def is_ours(path: Path) -> bool:
    """Whether a path is a folder, and no link to one, that holds only files that we write, or hidden ones."""
    if path.is_symlink() or not path.is_dir():
        return False
    return all(
        entry.name.startswith(".")
        or (entry.is_file() and not entry.is_symlink() and (entry.name in _OURS or entry.suffix == ".csv"))
        for entry in path.iterdir()
    )


def clear(path: Path, aside: Path) -> str:
    """Free a path: what is ours is removed. Returns what was moved to ``aside`` instead, in words; "" if nothing."""
    if not os.path.lexists(path):
        return ""
    if is_ours(path):
        shutil.rmtree(path, ignore_errors=True)
        if not os.path.lexists(path):
            return ""
    moved = move_aside(path, aside)
    return f"{path.parent.name}/{path.name} stood in the way and is not a run's folder alone: moved to {moved}"


def move_aside(path: Path, aside: Path) -> Path:
    """Move something into ``aside``, under a name with a number that is free there. Returns where it is now."""
    aside.mkdir(parents=True, exist_ok=True)
    numbered = (aside / f"{path.name}.{n}" for n in itertools.count(1))
    free = next(place for place in numbered if not os.path.lexists(place))
    path.rename(free)
    return free


def left_behind(runs: Path) -> list[str]:
    """The ids of runs of which something is half done."""
    endings = (STAGED, REPLACED)
    return sorted({path.name[1 : -len(ending)] for ending in endings for path in runs.glob(f".*{ending}")})


def mend(runs: Path, aside: Path, run_id: str) -> list[str]:
    """Finish or take back what a killed driver left half done of a run. Returns what was moved aside, in words."""
    moved, place = [], runs / run_id
    staged, replaced = beside(place, STAGED), beside(place, REPLACED)
    if os.path.lexists(staged):
        if is_ours(staged) and find_record(staged) is not None and not os.path.lexists(place):
            staged.rename(place)
        else:
            moved.append(clear(staged, aside))
    if os.path.lexists(replaced):
        if is_ours(replaced) and find_record(replaced) is not None and find_record(place) is None:
            moved.append(clear(place, aside))
            replaced.rename(place)
        else:
            moved.append(clear(replaced, aside))
    return [words for words in moved if words]
