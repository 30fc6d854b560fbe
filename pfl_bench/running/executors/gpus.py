"""Which GPU a number names."""


def visible_name(index: int, mask: str | None) -> str:
    """What ``CUDA_VISIBLE_DEVICES`` must be for a process that is to see only the GPU at ``index`` of ours.

    ``mask``: its present value. CUDA counts along it, and it may hold numbers, UUIDs (``GPU-...``) or names of MIG
    instances (``MIG-...``); without one, all GPUs count. IndexError where the mask has no such entry.
    """
    return str(index) if mask is None else mask.split(",")[index].strip()
