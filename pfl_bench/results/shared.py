"""A results folder that several drivers write to: who may write what, and when."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pfl_bench.errors import RequestError, one_line

from .holds import Holds
from .leftovers import left_behind, mend
from .lock import FolderLock, Taken

LOOK_SECONDS = 0.05
"""How often who waits for the lock looks again."""

PATIENCE = 300.0
"""Seconds that a driver waits for another one to write a table."""


class SharedFolder:
    """A run is written by the driver that has taken it; what belongs to no run, such as tables, under ``lock``.

    Who writes alone may hold the lock instead. ``moved``: what was there under a name of ours without being ours, and
    had to be moved to ``aside/``, in words.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.aside = folder / "aside"
        self.moved: list[str] = []
        self._lock: FolderLock | None = None
        self._holds = Holds(folder)

    @contextmanager
    def lock(self, patience: float = 0.0) -> Iterator[None]:
        """Own the ledger for a moment; RequestError if another driver does for longer than so many seconds.

        Mends what killed drivers left half done, of runs that nobody has taken. Who owns it already may ask again.
        """
        if self._lock is not None:
            yield
            return
        guard = FolderLock(self.folder)
        try:
            self._acquire(guard, time.monotonic() + patience)
            self.runs.mkdir(exist_ok=True)
            for run_id in left_behind(self.runs):
                self._mend(run_id)
        except Taken as error:
            raise self._taken() from error
        except OSError as error:
            guard.release()
            raise RequestError(f"results folder {str(self.folder)!r} cannot be written: {one_line(error)}") from error
        try:
            self._lock = guard
            yield
        finally:
            self._lock = None
            guard.release()

    @staticmethod
    def _acquire(guard: FolderLock, until: float) -> None:
        while True:
            try:
                return guard.acquire()
            except Taken:
                if time.monotonic() >= until:
                    raise
            time.sleep(LOOK_SECONDS)

    def _taken(self) -> RequestError:
        return RequestError(f"another run is writing to {self.folder}; wait for it, or choose another folder")

    def _mend(self, run_id: str) -> None:
        if self._holds.take(run_id):
            try:
                self.moved += mend(self.runs, self.aside, run_id)
            finally:
                self._holds.give_back(run_id)

    def take(self, run_id: str) -> bool:
        """Take a run to compute it; False if another driver has. What a killed one left of it half done is mended.

        RequestError if the folder cannot be written.
        """
        try:
            taken = self._holds.take(run_id)
            if taken:
                self.runs.mkdir(parents=True, exist_ok=True)
                self.moved += mend(self.runs, self.aside, run_id)
        except OSError as error:
            raise RequestError(f"results folder {str(self.folder)!r} cannot be written: {one_line(error)}") from error
        return taken

    def give_back(self, run_id: str) -> None:
        """Let go of a run that was taken."""
        self._holds.give_back(run_id)

    def give_all_back(self) -> None:
        """Let go of every run that was taken."""
        self._holds.give_all_back()

    def is_free(self, run_id: str) -> bool:
        """Whether no other driver has taken a run."""
        return self._holds.is_free(run_id)

    def _renew(self, run_id: str | None = None) -> None:
        """Before every write: the folder may have been removed, and be another driver's by now (RequestError)."""
        try:
            if self._lock is not None:
                self._lock.renew()
            if run_id is not None:
                self._holds.renew(run_id)
        except Taken as error:
            raise self._taken() from error
