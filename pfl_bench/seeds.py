"""Random numbers by coordinates.

A seed is the SHA-256 of its coordinates (run seed, stream, client, round, ...). Nothing depends on how
many random numbers were drawn before, so results do not depend on the executor, the number of workers,
the order of the runs or an interruption, and methods can share one stream without sharing another.
"""

import hashlib
import json

import numpy as np


def seed_of(*coordinates: int | str) -> int:
    """Hash coordinates to a 128-bit seed. The JSON list keeps ``("a", 1)`` and ``("a1",)`` apart."""
    digest = hashlib.sha256(json.dumps(coordinates).encode()).digest()
    return int.from_bytes(digest[:16], "big")


def numpy_generator(*coordinates: int | str) -> np.random.Generator:
    """A NumPy generator of its own for these coordinates."""
    return np.random.Generator(np.random.PCG64(seed_of(*coordinates)))
