"""Which driver computes which run: several may share a results folder, and each takes runs that nobody has.

A hold is a lock on ``<folder>/.holds/<run-id>``. The system lets go of it when a driver ends, however it ends, so that
another one can take the run over.
"""

from contextlib import suppress
from pathlib import Path

from .lock import LOCK, FolderLock, Taken

HOLDS = ".holds"


class Holds:
    """The runs of a results folder that this driver has taken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / HOLDS
        self._held: dict[str, FolderLock] = {}

    def take(self, run_id: str) -> bool:
        """Take a run; False if another driver has it. OSError if the folder cannot be written."""
        if run_id in self._held:
            return True
        hold = FolderLock(self.folder / run_id)
        try:
            hold.acquire()
        except Taken:
            return False
        self._held[run_id] = hold
        return True

    def give_back(self, run_id: str) -> None:
        """Let go of a run, if it is held, and leave nothing behind."""
        if (hold := self._held.pop(run_id, None)) is None:
            return
        with suppress(OSError):  # while it is held: whoever opened it before finds it gone (``FolderLock.acquire``)
            (hold.folder / LOCK).unlink(missing_ok=True)
            hold.folder.rmdir()
        hold.release()
        with suppress(OSError):  # others are in it
            self.folder.rmdir()

    def give_all_back(self) -> None:
        """Let go of every run."""
        for run_id in list(self._held):
            self.give_back(run_id)

    def renew(self, run_id: str) -> None:
        """Before a write: the folder may have been removed, and the run be another driver's by now (Taken)."""
        if hold := self._held.get(run_id):
            hold.renew()

    def is_free(self, run_id: str) -> bool:
        """Whether no other driver has a run at the moment."""
        if run_id in self._held:
            return True
        free = self.take(run_id)
        self.give_back(run_id)
        return free
