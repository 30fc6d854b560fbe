"""What a form to export to is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import Partition

from .manifest import Manifest
from .split import Holding, Split


@dataclass(frozen=True)
class Format:
    """One form.

    ``write(split, folder)`` writes the clients' samples into an empty folder and returns what the user should know.
    ``read(folder, manifest)`` gives them back, as they were. ``foreign(folder)`` reads what that framework itself
    wrote, None where that is not a data set with clients.
    """

    summary: str
    write: Callable[[Split, Path], Sequence[str]]
    read: Callable[[Path, Manifest], Holding]
    foreign: Callable[[Path], tuple[ArrayDataset, Partition]] | None = None
