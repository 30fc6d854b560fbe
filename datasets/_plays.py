"""What people say in plays as windows of characters: the next character is the class."""

from collections.abc import Mapping

import numpy as np

from pfl_bench.api import ArrayDataset, RequestError, make_dataset, shown, whole_number

DEFAULTS = {"length": 80, "step": 20, "least": 1000}
RARE = 100
SHARE = 0.2


def joined_texts(speeches: Mapping[str, list[str]]) -> Mapping[str, np.ndarray]:
    """Every speaker's text, joined in the order of speakers' names: code points, how many each has, and the names."""
    texts = {name: "\n".join(speeches[name]) for name in sorted(speeches) if speeches[name]}
    own = {name: np.frombuffer(text.encode("utf-32-le"), dtype="<u4") for name, text in texts.items()}
    return {
        "characters": np.concatenate(list(own.values())).astype(np.int32),
        "sizes": np.asarray([len(each) for each in own.values()], dtype=np.int64),
        "names": np.asarray(list(own)),
    }


def dataset_of_texts(
    source: str, argument: str, arrays: Mapping[str, np.ndarray], published: int | None = None
) -> ArrayDataset:
    """The windows of all speakers who say enough; options ``length``, ``step`` and ``least``. ``published``: how many
    characters there are if the file is whole."""
    numbers = window_numbers(source, argument)
    sizes = arrays["sizes"]
    enough = sizes >= numbers["least"]
    if not enough.any():
        raise RequestError(f"{source}: no speaker has least={numbers['least']} characters; the most is {sizes.max()}")
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
    if published not in (None, int(sizes.sum())):
        notes.append(f"{int(sizes.sum())} characters are said; in the published file {published}")
    if not enough.all():
        notes.append(
            f"{int((~enough).sum())} of {len(enough)} speakers have fewer than {numbers['least']} characters and are "
            f"left out, with {int(sizes[~enough].sum())} of {int(sizes.sum())} characters"
        )
    found = {key: np.concatenate(each) for key, each in parts.items()}
    return make_dataset(
        f"{source}:{argument}".rstrip(":"), _without_unseen(found, notes), kind="tokens",
        vocabulary=vocabulary, groups="groups", held_out_within="groups", notes=notes,
    )  # fmt: skip


def window_numbers(source: str, argument: str) -> dict[str, int]:
    """The options as numbers; a speaker's text must hold ten windows."""
    options: dict[str, str] = {}
    for part in argument.split(",") if argument else ():
        key, _, value = part.partition("=")
        if key not in DEFAULTS or key in options:
            raise RequestError(f"{source}: option {shown(part)} must be one of {', '.join(DEFAULTS)}, each once")
        options[key] = value
    found = {key: whole_number(source, options, key, default, 100_000) for key, default in DEFAULTS.items()}
    if found["least"] < (needed := 10 * found["length"]):
        if "least" in options:
            raise RequestError(f"{source}: least={found['least']} must be at least 10 * length = {needed}")
        found["least"] = needed
    return found


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
