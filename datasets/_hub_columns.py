"""Columns of a hub's tables as arrays: classes, groups, and inputs by what they hold."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from pfl_bench.api import RequestError, coded, name_list, one_line, shown

from ._labelled_pictures import stacked_pictures
from ._words import numbered

Frames = Mapping[str, Any]


def as_arrays(frames: Frames, options: Mapping[str, str], size: int | None) -> dict[str, np.ndarray]:
    """Labels, groups and inputs of every part; texts as numbers of words and lengths."""
    if "train" not in frames:
        raise RequestError(f"there is no part train, only {', '.join(frames) or 'none'}")
    for part, frame in frames.items():
        for key in ("label", "group", "inputs"):
            for column in name_list(options.get(key, "")):
                if column not in frame.columns:
                    listed = ", ".join(shown(str(c), 30) for c in frame.columns[:12])
                    raise RequestError(f"{key}={shown(column)} is no column of {part}; there are {listed}")
        if not len(frame):
            raise RequestError(f"the part {part} is empty")
    found = dict[str, np.ndarray]()
    for what, key in (("labels", "label"), ("groups", "group")):
        if key in options:
            found |= _codes(frames, what, options[key])
    columns = name_list(options["inputs"])
    first = frames["train"][columns[0]].iloc[0]
    if len(columns) > 1 or (np.isscalar(first) and not isinstance(first, str | bytes)):
        return found | {f"{part}_inputs": _numbers(part, frame[columns]) for part, frame in frames.items()}
    own = {part: frame[columns[0]].tolist() for part, frame in frames.items()}
    if isinstance(first, str):
        if not all(isinstance(text, str) for texts in own.values() for text in texts):
            raise RequestError(f"column {shown(columns[0])} has entries that are no texts")
        for part, (codes, lengths) in zip(own, numbered(*own.values()), strict=True):
            found |= {f"{part}_codes": codes, f"{part}_lengths": lengths}
        return found
    if isinstance(first, Mapping):
        pairs = {part: _Pictures(own[part], found[f"{part}_labels"]) for part in own}
        return found | {f"{part}_images": images for part, (images, _) in stacked_pictures(pairs, size).items()}
    return found | {f"{part}_inputs": _rows(part, values) for part, values in own.items()}


class _Pictures:
    """Pictures as the hub keeps them, with their labels, decoded one at a time."""

    def __init__(self, values: list[Any], labels: np.ndarray) -> None:
        self.values, self.labels = values, labels

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, at: int) -> tuple[Any, int]:
        from PIL import Image

        try:
            with Image.open(io.BytesIO(self.values[at]["bytes"])) as image:
                image.load()
                return image, int(self.labels[at])
        except Exception as error:  # Pillow's readers raise whatever damaged bytes lead to
            raise RequestError(f"entry {at} is no readable picture: {one_line(error)}") from error


def _codes(frames: Frames, what: str, column: str) -> dict[str, np.ndarray]:
    """Whole numbers for labels or groups, over all parts together."""
    values = [frame[column] for frame in frames.values()]
    if any(own.isna().any() for own in values):
        raise RequestError(f"column {shown(column)} has missing entries")
    numeric = all(own.dtype.kind in "iufb" for own in values)
    codes, _ = coded(what, np.concatenate([own.to_numpy() if numeric else own.astype(str).to_numpy().astype(str)
                                           for own in values]))  # fmt: skip
    ends = np.cumsum([len(own) for own in values])[:-1]
    return {f"{part}_{what}": own for part, own in zip(frames, np.split(codes, ends), strict=True)}


def _numbers(part: str, frame: Any) -> np.ndarray:
    odd = next((column for column in frame.columns if frame[column].dtype.kind not in "iufb"), None)
    if odd is not None:
        raise RequestError(f"column {shown(str(odd))} of {part} is no number")
    return frame.to_numpy(dtype=np.float64)


def _rows(part: str, values: list[Any]) -> np.ndarray:
    try:
        found = np.asarray([np.asarray(value, dtype=np.float64) for value in values])
    except (ValueError, TypeError) as error:
        raise RequestError(f"the inputs of {part} are no pictures, texts or rows of numbers of one length") from error
    if found.ndim != 2:
        raise RequestError(f"the inputs of {part} have shape {found.shape[1:]}; rows of numbers, pictures or texts")
    return found
