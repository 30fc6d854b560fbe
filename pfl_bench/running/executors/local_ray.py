"""A Ray of our own: on the loopback interface only, silent, in a folder that is removed with it."""

import logging
import os
import shutil
import sys
import tempfile
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

LOOPBACK_ONLY = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's switch between clusters (1) and one machine (0); in the latter case all its processes bind to 127.0.0.1.

It is read when Ray is imported. (``_node_ip_address`` does not do it: Ray replaces a loopback address there.)
"""

PREFIX = "pfl-bench-ray-"
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def prepare_environment(local: bool) -> None:
    """What Ray reads from the environment; before it is imported. What the user has set stays."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    os.environ["OMP_NUM_THREADS"] = "1"
    if local:
        os.environ.setdefault(LOOPBACK_ONLY, "0")
    elif os.environ.get(LOOPBACK_ONLY) == "0":
        del os.environ[LOOPBACK_ONLY]  # from a Ray of our own that was here before


@dataclass(frozen=True)
class Session:
    """A folder for Ray's sockets and logs, locked as long as its owner lives."""

    folder: Path
    lock: FileLock

    @classmethod
    def open(cls) -> "Session":
        """A new folder; those of owners that were killed are removed."""
        root = _root()
        for left in root.glob(f"{PREFIX}*"):
            _remove_if_left(left)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        lock = FileLock(folder / "lock")
        lock.acquire()
        return cls(folder, lock)

    def close(self) -> None:
        """Remove the folder."""
        self.lock.release()
        shutil.rmtree(self.folder, ignore_errors=True)


def _root() -> Path:
    """The paths of Unix sockets may have 107 characters, of which Ray takes 70: not below any TMPDIR."""
    if "RAY_TMPDIR" in os.environ or sys.platform == "win32":
        return Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    return Path("/tmp")


def _remove_if_left(folder: Path) -> None:
    if not (folder.is_dir() and not folder.is_symlink() and (folder / "lock").is_file()):
        return
    with suppress(OSError, Timeout), FileLock(folder / "lock", blocking=False):
        shutil.rmtree(folder, ignore_errors=True)


def start(ray: Any, workers: int | None, session: Session) -> None:
    """Start Ray with so many cores (default: all). A Ray that is on this machine already is another one."""
    ray.init(
        address="local",
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=True,
        _temp_dir=str(session.folder),
    )
    if os.environ.get(LOOPBACK_ONLY) == "0" and ray.util.get_node_ip_address() not in ("127.0.0.1", "::1"):
        warnings.warn("Ray was imported before, so that it listens on every network interface", stacklevel=2)
