"""``imagefolder:PATH``: your own pictures, one folder per class.

Everything that is there is used, refused or noted: a ``val`` part beside ``train`` and ``test`` validates; a file of
another type in a class's folder, a folder in it, a picture outside and a class without training pictures are refused.
Hidden folders and files, and those of operating systems, are no part of the data. ``_pictures`` has the rules for a
single picture.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pfl_bench.api import ArrayDataset, DataRequest, RequestError, hold_out, make_dataset, register_dataset

from ._pictures import SUFFIXES, Picture, read_picture

OF_SYSTEMS = {"__macosx", "thumbs.db", "desktop.ini", "lost+found"}
KINDS = ", ".join(sorted(SUFFIXES))
VALIDATION = ("val", "valid", "validation", "dev")


def visible(folder: Path) -> list[Path]:
    """What a folder holds, by name, without what is hidden or an operating system's own."""
    return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.name.lower() not in OF_SYSTEMS)


def class_folders(folder: Path, notes: list[str]) -> dict[str, list[Path]]:
    """The files of every class folder. RequestError for what would be dropped; folders that are no class are noted."""
    found: dict[str, list[Path]] = {}
    for path in visible(folder):
        if path.is_dir():
            found[path.name] = _files(path)
        elif path.suffix.lower() in SUFFIXES:
            raise RequestError(
                f"imagefolder: {path} lies in no class's folder; the layout is {folder}/<class>/<picture>"
            )
        else:
            notes.append(f"{path} is no picture and not used")
    hidden = [p.name for p in sorted(folder.iterdir()) if p.is_dir() and p not in visible(folder)]
    if hidden:
        notes.append(f"hidden folders in {folder} are no classes: {', '.join(hidden[:5])}")
    return found


def _files(folder: Path) -> list[Path]:
    """The pictures of one class."""
    files = visible(folder)
    for path in files:
        if path.is_dir():
            raise RequestError(
                f"imagefolder: {folder} holds the folder {path.name!r}; pictures lie directly in their class's folder, "
                "and of parts there are two, train/ and test/"
            )
        if path.suffix.lower() not in SUFFIXES:
            raise RequestError(f"imagefolder: {path} is of another type than {KINDS}; convert it or move it away")
    return files


def read_all(files: Sequence[Path], notes: list[str]) -> np.ndarray:
    """Pictures of one size as ``[N, H, W]``, or ``[N, H, W, 3]`` unless every one is grey."""
    pictures: list[Picture] = []
    for path in files:
        pictures.append(read_picture(path))
        size, first = pictures[-1].pixels.shape[:2], pictures[0].pixels.shape[:2]
        if size != first:
            raise RequestError(f"imagefolder: {path} has shape {size}, others {first}; all must agree: resize them")
    deep = [picture for picture in pictures if picture.deep]
    if deep:
        brightest = max(int(picture.pixels.max()) for picture in deep)
        notes.append(
            f"{len(deep)} pictures with 16-bit grey are scaled by v >> 8; their brightest pixel is {brightest}"
        )
    if transparent := sum(picture.transparent for picture in pictures):
        notes.append(f"transparent pixels of {transparent} pictures are laid on white")
    pixels = [picture.pixels for picture in pictures]
    grey = [each.ndim == 2 for each in pixels]
    if any(grey) and not all(grey):
        notes.append(f"{sum(grey)} grey pictures among {len(grey)} are taken as RGB")
        pixels = [np.repeat(each[..., None], 3, axis=2) if each.ndim == 2 else each for each in pixels]
    return np.stack(pixels)


def _parts(folder: Path, notes: list[str]) -> dict[str, dict[str, list[Path]]]:
    """Files by part (``train``, ``validation`` if there is one, and ``test``, or one without a name) and class."""
    names = {path.name for path in visible(folder) if path.is_dir()}
    if not {"train", "test"} <= names:
        return {"": class_folders(folder, notes)}
    own = [name for name in VALIDATION if name in names]
    if len(own) > 1:
        raise RequestError(f"imagefolder: {folder} has {' and '.join(own)}; one of them can be the validation part")
    for path in visible(folder):
        if path.name not in ("train", "test", *own) and (path.is_dir() or path.suffix.lower() in SUFFIXES):
            raise RequestError(
                f"imagefolder: {path} would not be used beside train/, val/ and test/; rename it or move it away"
            )
    parts = {"train": "train", **dict.fromkeys(["validation"] * len(own), "".join(own)), "test": "test"}
    return {split: class_folders(folder / name, notes) for split, name in parts.items()}


def _check_classes(parts: dict[str, dict[str, list[Path]]], folder: Path, notes: list[str]) -> list[str]:
    """Names of the classes: the folders with pictures, to train and to test on."""
    names = sorted({name for part in parts.values() for name in part})
    empty = [name for name in names if not any(part.get(name) for part in parts.values())]
    if len(empty) == len(names):
        raise RequestError(f"imagefolder: no pictures ({KINDS}) in {folder}/<class>/")
    if empty:
        notes.append(f"folders without a picture are no classes: {', '.join(empty[:5])}")
    names = [name for name in names if name not in empty]
    for name in names:
        if "train" in parts and not parts["train"].get(name):
            raise RequestError(
                f"imagefolder: class {name!r} has no picture in train/ and some elsewhere; add some there"
            )
    return names


@register_dataset("imagefolder", source="a folder of yours", summary="imagefolder:PATH with one folder per class")
def load(request: DataRequest) -> ArrayDataset:
    """Read ``PATH/train/<class>/``, ``test/`` and perhaps ``val/``, or ``PATH/<class>/`` with a fixed fifth as test."""
    folder = Path(request.argument)
    if not request.argument or not folder.is_dir():
        raise RequestError(f"data set 'imagefolder' needs a folder: imagefolder:PATH, found {request.argument[:200]!r}")
    name, notes = f"imagefolder:{folder}", list[str]()
    parts = _parts(folder, notes)
    classes = _check_classes(parts, folder, notes)
    files = [
        (split, path, label)
        for split, part in parts.items()
        for label, name_of_class in enumerate(classes)
        for path in part.get(name_of_class, [])
    ]
    images = read_all([path for _, path, _ in files], notes)
    labels = np.asarray([label for _, _, label in files], dtype=np.int64)
    if "" in parts:
        for label in np.flatnonzero(np.bincount(labels) < 2):
            raise RequestError(
                f"imagefolder: class {classes[label]!r} has one picture; it needs 2, one of them to test"
            )
        return make_dataset(name, hold_out("imagefolder", images, labels, 0.2), classes=len(classes), notes=notes)
    arrays = {}
    for split in parts:
        rows = np.asarray([own == split for own, _, _ in files])
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = images[rows], labels[rows]
    for split in parts:
        if not len(arrays[f"{split}_labels"]):
            raise RequestError(f"imagefolder: no pictures ({KINDS}) in the {split} part of {folder}")
    return make_dataset(name, arrays, classes=len(classes), notes=notes)
