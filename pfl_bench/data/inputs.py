"""The input spec: what kind of thing a sample is, and the shape in which a client model receives it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from pfl_bench.errors import RequestError, shown

InputKind = Literal["image", "table", "series", "tokens"]
KINDS: tuple[InputKind, ...] = get_args(InputKind)
AXES = {
    "image": ("channels", "height", "width"),
    "table": ("features",),
    "series": ("channels", "time"),
    "tokens": ("length",),
}


@dataclass(frozen=True)
class InputSpec:
    """One sample as a client model receives it.

    ``shape``: an image's (channels, height, width), a table's (features,), a series' (channels, time), all float32 and
    standardised; of tokens (length,), int64 from 0 and below ``vocabulary``. Iterating gives the shape, so that
    ``channels, height, width = input`` and ``math.prod(input)`` say what they seem to say.
    """

    kind: InputKind
    shape: tuple[int, ...]
    vocabulary: int = 0

    def __post_init__(self) -> None:
        if self.kind not in AXES:
            raise RequestError(f"input kind={shown(self.kind)} must be one of {', '.join(AXES)}")
        if len(self.shape) != len(AXES[self.kind]) or min(self.shape) < 1:
            raise RequestError(
                f"input shape={self.shape} of kind {self.kind!r} must be ({', '.join(AXES[self.kind])}), each 1 or more"
            )
        if (self.vocabulary > 0) != (self.kind == "tokens"):
            raise RequestError(f"input vocabulary={self.vocabulary}: 1 or more for tokens, 0 for other kinds")

    def __iter__(self) -> Iterator[int]:
        return iter(self.shape)

    def __len__(self) -> int:
        return len(self.shape)

    def __getitem__(self, axis: int) -> int:
        return self.shape[axis]

    def __str__(self) -> str:
        """For people, as ``images of shape (3, 32, 32)``."""
        named = ", ".join(str(size) for size in self.shape)
        words = f", {self.vocabulary} words" if self.vocabulary else ""
        return f"{PLURALS[self.kind]} of shape ({named}{words})"


PLURALS = {"image": "images", "table": "table rows", "series": "series", "tokens": "token sequences"}


def as_input(given: "InputSpec | tuple[int, ...]") -> InputSpec:
    """An input spec; a bare shape (channels, height, width) is an image's."""
    return given if isinstance(given, InputSpec) else InputSpec("image", tuple(given))
