"""Which GPU a number names, and that a process sees it alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def visible_name(index: int, mask: str | None) -> str:
    """What ``CUDA_VISIBLE_DEVICES`` must be for a process that is to see only the GPU at ``index`` of ours.

    ``mask``: its present value. CUDA counts along it, and it may hold numbers, UUIDs (``GPU-...``) or names of MIG
    instances (``MIG-...``); without one, all GPUs count. IndexError where the mask has no such entry.
    """
    return str(index) if mask is None else mask.split(",")[index].strip()


@contextmanager
def seeing(index: str) -> Iterator[None]:
    """Only this GPU of the machine, which workers then know as "cuda"; all of them where none is named."""
    if not index:
        yield
        return
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = visible_name(int(index), before)
    try:
        yield
    finally:
        if before is None:
            del os.environ["CUDA_VISIBLE_DEVICES"]
        else:
            os.environ["CUDA_VISIBLE_DEVICES"] = before
