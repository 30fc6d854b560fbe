"""``typefaces[:FOLDER]``: letters and digits printed in many typefaces, 28x28 grey, 62 classes; a client is a typeface.

A feature shift that is FEMNIST's, but printed: same classes, other shapes. Fonts (``.ttf``, ``.otf``) are those of a
folder, with what lies below it (``/usr/share/fonts``), or the ones that the package ``matplotlib`` brings. Every
character is drawn ``DRAWINGS`` times, at a size, place and angle that differ a little, from a fixed seed. Fonts without
all the characters, or that draw two of them alike, are left out and named; so is one whose pictures another has.
A fifth of every typeface's pictures is test. Another release of Pillow may draw otherwise; the content hash tells.
"""

import hashlib
import string
from pathlib import Path

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    DataRequest,
    RequestError,
    dataset_of_rows,
    numpy_generator,
    register_dataset,
    shown,
)

from ._packages import package_file

CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
DRAWINGS, SIDE, LARGE = 10, 28, 64


@register_dataset(
    "typefaces", source="installed fonts", summary="62 characters by typeface, 28x28 grey: a feature shift"
)
def load(request: DataRequest) -> ArrayDataset:
    """Draw every character in every typeface."""
    folder = Path(request.argument or package_file("typefaces", "matplotlib", "mpl-data", "fonts", "ttf"))
    if not folder.is_dir():
        raise RequestError(f"data set 'typefaces' needs a folder of fonts, found {shown(str(folder))}")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".ttf", ".otf") and path.is_file())
    drawn: dict[str, np.ndarray] = {}
    left_out, known = list[str](), set[str]()
    for path in files:
        pictures = drawings(path)
        digest = "" if pictures is None else hashlib.sha256(pictures.tobytes()).hexdigest()
        if pictures is None or digest in known or path.name in drawn:
            left_out.append(path.name)
        else:
            drawn[path.name] = pictures
            known.add(digest)
    if not drawn:
        raise RequestError(f"typefaces: none of {len(files)} fonts below {folder} has all of 0-9, A-Z and a-z")
    notes = [f"{len(drawn)} typefaces: {', '.join(list(drawn)[:5])}{', ...' if len(drawn) > 5 else ''}"]
    if left_out:
        notes.append(f"{len(left_out)} of {len(files)} fonts are left out: unreadable, without all characters or "
                     f"doubled: {', '.join(left_out[:5])}{', ...' if len(left_out) > 5 else ''}")  # fmt: skip
    images = np.concatenate(list(drawn.values()))
    labels = np.tile(np.repeat(np.arange(len(CHARACTERS)), DRAWINGS), len(drawn))
    groups = np.repeat(np.arange(len(drawn)), len(CHARACTERS) * DRAWINGS)
    name = f"typefaces:{request.argument}".rstrip(":")
    return dataset_of_rows(name, images, labels, groups=groups, notes=notes, classes=len(CHARACTERS))


def drawings(path: Path) -> np.ndarray | None:
    """Pictures uint8 ``[62 * DRAWINGS, 28, 28]``, white on black, in the order of characters; None for a font that is
    damaged, or lacks characters or draws two of them alike (as boxes)."""
    from PIL import Image, ImageDraw, ImageFont

    try:
        font = ImageFont.truetype(str(path), LARGE)
        plain = []
        for character in CHARACTERS:
            image = Image.new("L", (2 * LARGE, 2 * LARGE))
            ImageDraw.Draw(image).text((LARGE, LARGE), character, fill=255, font=font, anchor="mm")
            plain.append(image)
    except Exception:  # FreeType's errors have no common base
        return None
    if len({image.tobytes() for image in plain}) < len(CHARACTERS) or any(i.getbbox() is None for i in plain):
        return None
    rng = numpy_generator("typefaces", "drawings")
    found = np.empty((len(CHARACTERS), DRAWINGS, SIDE, SIDE), dtype=np.uint8)
    for at, image in enumerate(plain):
        for drawing in range(DRAWINGS):
            angle, scale = rng.uniform(-12, 12), rng.uniform(0.8, 1.1)
            shift = rng.integers(-6, 7, size=2)
            turned = image.rotate(angle, Image.Resampling.BILINEAR, translate=(int(shift[0]), int(shift[1])))
            half = round(0.75 * LARGE / scale)
            cut = turned.crop((LARGE - half, LARGE - half, LARGE + half, LARGE + half))
            found[at, drawing] = np.asarray(cut.resize((SIDE, SIDE), Image.Resampling.BOX))
    return found.reshape(-1, SIDE, SIDE)
