"""``imagefolder:PATH``: your own pictures, one folder per class."""

from pathlib import Path

import numpy as np

from pfl_bench.api import ArrayDataset, DataRequest, RequestError, hold_out, make_dataset, register_dataset

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}


def read_classes(folder: Path, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Read ``folder/<class>/*`` as RGB (or grey, where every picture is) and number the classes in order."""
    from PIL import Image

    pictures: list[np.ndarray] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        for path in sorted(p for p in (folder / name).glob("*") if p.suffix.lower() in SUFFIXES):
            try:
                with Image.open(path) as image:
                    picture = np.asarray(image.convert("L" if image.mode in ("L", "1") else "RGB"))
            except OSError as error:
                raise RequestError(f"imagefolder: {path} is not a readable picture: {error}") from error
            if pictures and picture.shape != pictures[0].shape:
                raise RequestError(
                    f"imagefolder: {path} has shape {picture.shape}, others {pictures[0].shape}; all must agree"
                )
            pictures.append(picture)
            labels.append(label)
    if not pictures:
        raise RequestError(f"imagefolder: no pictures ({', '.join(sorted(SUFFIXES))}) in {folder}/<class>/")
    return np.stack(pictures), np.asarray(labels, dtype=np.int64)


@register_dataset("imagefolder", source="a folder of yours", summary="imagefolder:PATH with one folder per class")
def load(request: DataRequest) -> ArrayDataset:
    """Read ``PATH/train/<class>/`` and ``PATH/test/<class>/``, or ``PATH/<class>/`` with a fixed fifth as test."""
    folder = Path(request.argument)
    if not request.argument or not folder.is_dir():
        raise RequestError(f"data set 'imagefolder' needs a folder: imagefolder:PATH, found {request.argument!r}")
    name = f"imagefolder:{folder}"
    separate = (folder / "train").is_dir() and (folder / "test").is_dir()
    base = folder / "train" if separate else folder
    classes = sorted(path.name for path in base.iterdir() if path.is_dir())
    if not separate:
        return make_dataset(name, hold_out("imagefolder", *read_classes(folder, classes), 0.2), classes=len(classes))
    arrays = {}
    for split in ("train", "test"):
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = read_classes(folder / split, classes)
    return make_dataset(name, arrays, classes=len(classes))
