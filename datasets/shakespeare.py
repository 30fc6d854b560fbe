"""Shakespeare's plays by role: 80 characters in, the next one out, as in LEAF (Caldas et al. 2018, arXiv:1812.01097).

The file is Karpathy's ``tinyshakespeare`` (public domain): speeches parted by an empty line, the speaker's name and a
colon in a line before each. A group is a speaker; what he says is one text, in the order of the file, and is cut into
windows of ``length`` characters (80) at distances of ``step`` (20). The last fifth of his text is test, the last fifth
of what is before it validation; no window reaches over such a border, so that no character is trained and tested on.
Speakers with fewer than ``least`` (1,000) characters are left
out and counted. Characters that occur fewer than 100 times in all are one class, "other".
``shakespeare:length=80,step=5`` sets the numbers.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    DataRequest,
    RequestError,
    download,
    original_file,
    register_dataset,
    shown,
    stored_arrays,
)

from ._plays import dataset_of_texts, joined_texts, window_numbers

URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
FILES = ("tinyshakespeare.txt", "input.txt")
CHARACTERS = 1_027_553
"""What all speakers of the public file say."""


@register_dataset(
    "shakespeare", source="Caldas et al. 2018, arXiv:1812.01097",
    summary="Next character in plays by speaker, 80 tokens; shakespeare:step=5 for more windows",
)  # fmt: skip
def load(request: DataRequest) -> ArrayDataset:
    """Read ``shakespeare.npz``, made once from the text in the data directory or from the public file."""
    window_numbers("shakespeare", request.argument)  # refused before anything is fetched
    own = original_file(request, "shakespeare", *FILES)

    def fetch(folder: Path) -> Mapping[str, np.ndarray]:
        return read_speeches(own or download(URL, folder))

    def dataset(arrays: Mapping[str, np.ndarray]) -> ArrayDataset:
        return dataset_of_texts("shakespeare", request.argument, arrays, CHARACTERS)

    return dataset(stored_arrays("shakespeare", request, fetch, [own], check=dataset, takes_argument=True))


def read_speeches(path: Path) -> Mapping[str, np.ndarray]:
    """Every speaker's text, joined in the order of speakers' names: code points, how many each has, and the names."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(f"{path} is not UTF-8 text") from error
    speeches: dict[str, list[str]] = {}
    for block in text.replace("\r\n", "\n").split("\n\n"):
        first, _, rest = block.strip("\n").partition("\n")
        if first.endswith(":"):  # some speeches have no line
            speeches.setdefault(first[:-1].strip(), []).extend([rest] * bool(rest))
        elif block.strip():
            raise RequestError(
                f"{path}: {shown(first, 60)} begins no speech; that is NAME: and lines, then an empty one"
            )
    if not any(speeches.values()):
        raise RequestError(f"{path} has no speech: NAME: and lines, then an empty one")
    return joined_texts(speeches)
