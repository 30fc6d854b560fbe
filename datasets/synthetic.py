"""``synthetic[:classes=10,channels=1,side=8,n=600]``: noisy class prototypes, for tests. Not for results."""

import re

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    DataRequest,
    RequestError,
    hold_out,
    make_dataset,
    numpy_generator,
    register_dataset,
)

DEFAULTS = {"classes": 10, "channels": 1, "side": 8, "n": 600}
MOST_VALUES = 10**8
NOISE = 40.0  # standard deviation in grey levels


def read_options(argument: str) -> dict[str, int]:
    """``classes=3,n=180`` as numbers, each option once; together no more than ``MOST_VALUES``."""
    options: dict[str, int] = {}
    for part in argument.split(",") if argument else ():
        key, _, value = part.partition("=")
        if key not in DEFAULTS or not re.fullmatch("[1-9][0-9]{0,6}", value):
            raise RequestError(
                f"synthetic: option {part[:80]!r} must be one of {', '.join(DEFAULTS)} = a positive number"
            )
        if key in options:
            raise RequestError(f"synthetic: option {key!r} is given twice")
        options[key] = int(value)
    classes, channels, side, n = (DEFAULTS | options).values()
    if (values := max(n, classes) * side**2 * channels) > MOST_VALUES:
        raise RequestError(f"synthetic: n * side * side * channels is {values}; the most allowed is {MOST_VALUES}")
    return options


@register_dataset("synthetic", source="generated", summary="Noisy class prototypes, for tests only")
def load(request: DataRequest) -> ArrayDataset:
    """Draw ``n`` images with equal class shares from fixed seeds and hold out a fixed fifth as test."""
    options = DEFAULTS | read_options(request.argument)
    classes, n = options["classes"], options["n"]
    rng = numpy_generator("synthetic", *options.values())
    shape = (options["side"], options["side"], options["channels"])
    prototypes = rng.uniform(60, 196, size=(classes, *shape))
    labels = np.arange(n) % classes
    images = np.clip(np.rint(prototypes[labels] + rng.normal(0, NOISE, size=(n, *shape))), 0, 255).astype(np.uint8)
    return make_dataset("synthetic", hold_out("synthetic", images, labels, 0.2), classes=classes)
