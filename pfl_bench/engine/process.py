"""Peak memory of one run, also where a worker process serves many runs."""

import ctypes
import importlib
import sys
from pathlib import Path

import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def reset_peak_memory() -> None:
    """Start counting anew; where the platform cannot (anything but Linux), peaks of earlier runs remain."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return
    finally:
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()


def peak_memory_bytes(device: torch.device) -> int | None:
    """Most memory in use since the last reset: of the device's allocator on a GPU, else of the process.

    None where it cannot be measured (Windows).
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return _process_maximum()


def _process_maximum() -> int | None:
    """POSIX's figure: bytes on macOS, KiB elsewhere."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:
        return None
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


def keep_freed_memory() -> None:
    """Let freed memory stay with this process, so that big temporary tensors do not fault in new pages each time.

    Where there is no glibc this does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_M_MMAP_THRESHOLD, 2**30)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
