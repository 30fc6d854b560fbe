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
    make_dataset,
    original_file,
    register_dataset,
    shown,
    stored_arrays,
    whole_number,
)

URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
FILES = ("tinyshakespeare.txt", "input.txt")
DEFAULTS = {"length": 80, "step": 20, "least": 1000}
RARE = 100
SHARE = 0.2


@register_dataset(
    "shakespeare", source="Caldas et al. 2018, arXiv:1812.01097",
    summary="Next character in plays by speaker, 80 tokens; shakespeare:step=5 for more windows",
)  # fmt: skip
def load(request: DataRequest) -> ArrayDataset:
    """Read ``shakespeare.npz``, made once from the text in the data directory or from the public file."""
    numbers = _numbers(request.argument)
    own = original_file(request, "shakespeare", *FILES)

    def fetch(folder: Path) -> Mapping[str, np.ndarray]:
        return read_speeches(own or download(URL, folder))

    arrays = stored_arrays("shakespeare", request, fetch, [own] if own else [], takes_argument=True)
    sizes = arrays["sizes"]
    enough = sizes >= numbers["least"]
    if not enough.any():
        raise RequestError(
            f"shakespeare: no speaker has least={numbers['least']} characters; the most is {sizes.max()}"
        )
    texts = np.split(arrays["characters"], np.cumsum(sizes)[:-1])
    codes, vocabulary = character_codes(arrays["characters"])
    parts: dict[str, list[np.ndarray]] = {}
    for group, speaker in enumerate(np.flatnonzero(enough)):
        for split, starts in windows(len(texts[speaker]), numbers["length"], numbers["step"]).items():
            coded = codes[texts[speaker]]
            parts.setdefault(f"{split}_inputs", []).append(
                coded[starts[:, None] + np.arange(numbers["length"])].astype(np.int32)
            )
            parts.setdefault(f"{split}_labels", []).append(coded[starts + numbers["length"]])
            parts.setdefault(f"{split}_groups", []).append(np.full(len(starts), group))
    notes = []
    if not enough.all():
        notes.append(
            f"{int((~enough).sum())} of {len(enough)} speakers have fewer than {numbers['least']} characters and are "
            f"left out, with {int(sizes[~enough].sum())} of {int(sizes.sum())} characters"
        )
    found = {key: np.concatenate(each) for key, each in parts.items()}
    return make_dataset(
        f"shakespeare:{request.argument}".rstrip(":"), _without_unseen(found, notes), kind="tokens",
        vocabulary=vocabulary, groups="groups", held_out_within="groups", notes=notes,
    )  # fmt: skip


def _numbers(argument: str) -> dict[str, int]:
    options: dict[str, str] = {}
    for part in argument.split(",") if argument else ():
        key, _, value = part.partition("=")
        if key not in DEFAULTS or key in options:
            raise RequestError(f"shakespeare: option {shown(part)} must be one of {', '.join(DEFAULTS)}, each once")
        options[key] = value
    found = {key: whole_number("shakespeare", options, key, default, 100_000) for key, default in DEFAULTS.items()}
    if found["least"] < (needed := 10 * found["length"]):
        if "least" in options:
            raise RequestError(f"shakespeare: least={found['least']} must be at least 10 * length = {needed}")
        found["least"] = needed
    return found


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
    texts = {name: "\n".join(speeches[name]) for name in sorted(speeches) if speeches[name]}
    own = {name: np.frombuffer(text.encode("utf-32-le"), dtype="<u4") for name, text in texts.items()}
    return {
        "characters": np.concatenate(list(own.values())).astype(np.int32),
        "sizes": np.asarray([len(each) for each in own.values()], dtype=np.int64),
        "names": np.asarray(list(own)),
    }


def character_codes(characters: np.ndarray) -> tuple[np.ndarray, int]:
    """A table from code points to tokens, and how many tokens there are: 0 for rare characters, then the others."""
    points, counts = np.unique(characters, return_counts=True)
    usual = points[counts >= min(RARE, counts.max())]
    table = np.zeros(int(points.max()) + 1, dtype=np.int64)
    table[usual] = np.arange(1, len(usual) + 1)
    return table, len(usual) + 1


def windows(size: int, length: int, step: int) -> dict[str, np.ndarray]:
    """Where the windows of a text begin, by part; what comes after a window is in the part, and so is all of it but in
    training, which comes first."""
    test, validation = round(size * (1 - SHARE)), round(size * (1 - SHARE) ** 2)
    bounds = {"train": (0, validation), "validation": (validation, test), "test": (test, size)}
    return {split: np.arange(first, last - length, step) for split, (first, last) in bounds.items()}


def _without_unseen(arrays: dict[str, np.ndarray], notes: list[str]) -> dict[str, np.ndarray]:
    """Without windows of validation and test whose next character never follows a window in training."""
    found, dropped = dict(arrays), 0
    for split in ("validation", "test"):
        seen = np.isin(arrays[f"{split}_labels"], arrays["train_labels"])
        dropped += int((~seen).sum())
        for key in ("inputs", "labels", "groups"):
            found[f"{split}_{key}"] = arrays[f"{split}_{key}"][seen]
    if dropped:
        notes.append(f"{dropped} windows are left out whose next character no training window has")
    return found
