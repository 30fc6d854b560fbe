"""A lock on a folder, that outlives the removal of its file, and notices that its folder was replaced."""

import os
from contextlib import suppress
from pathlib import Path

import filelock

try:
    import fcntl
except ImportError:  # Windows: there a file in use cannot be removed
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
ATTEMPTS = 10


class Taken(Exception):
    """Another driver holds the folder."""


class FolderLock:
    """A lock on a folder itself, where the system can lock folders (NFS cannot), and on the file ``.lock`` in it.

    The system lets go of both when the process ends, however it ends.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = filelock.FileLock(folder / LOCK, timeout=0)
        self._descriptor: int | None = None
        self._held: list[tuple[int, int] | None] = []

    def acquire(self) -> None:
        """Make the folder if it is not there, and hold it. Taken if another driver does; OSError if it cannot be."""
        try:
            self._hold_folder()
            self._hold_file()
        except BaseException:
            self.release()
            raise
        self._held = self._identities()

    def release(self) -> None:
        """Let go of what is held."""
        self._file.release()
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._held = None, []

    def renew(self) -> None:
        """Before a write: if the folder was removed, hold what is at its path now. Raises like ``acquire``."""
        held, now = self._held, self._identities()
        if held == now:
            return
        if held[0] == now[0]:  # only the file was removed; the folder stays locked meanwhile
            self._file.release()
            self._hold_file()
            self._held = self._identities()
        else:
            self.release()
            self.acquire()

    def _hold_folder(self) -> None:
        _make(self.folder)
        if fcntl is None:
            return
        self._descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Taken from error
        except OSError:  # a file system that locks no folders: the file must do
            os.close(self._descriptor)
            self._descriptor = None
            return
        found = os.fstat(self._descriptor)
        if (found.st_dev, found.st_ino) != _identity(self.folder):  # removed by who held it, between the two lines
            raise Taken

    def _hold_file(self) -> None:
        try:
            self._file.acquire()
        except filelock.Timeout as error:
            raise Taken from error

    def _identities(self) -> list[tuple[int, int] | None]:
        return [_identity(self.folder), _identity(self.folder / LOCK)]


def _make(folder: Path) -> None:
    """Make a folder and those above it, though others may remove empty ones meanwhile."""
    for _ in range(ATTEMPTS):
        with suppress(FileNotFoundError):
            folder.mkdir(parents=True, exist_ok=True)
            return
    folder.mkdir(parents=True, exist_ok=True)


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file or folder from another that took its place; None if there is none."""
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None
