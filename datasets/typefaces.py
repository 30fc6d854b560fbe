"""``typefaces[:FOLDER]``: letters and digits printed in many typefaces, 28x28 grey, 62 classes; a client is a typeface.

A feature shift that is FEMNIST's, but printed: same classes, other shapes. Fonts (``.ttf``, ``.otf``) are those of a
folder, with what lies below it (``/usr/share/fonts``), or the ones that the package ``matplotlib`` brings. Every
character is drawn ``DRAWINGS`` times, at a size, place and angle that differ a little, from a fixed seed. Fonts without
all the characters, or that draw two of them alike, are left out and named; so are damaged ones, and one whose pictures
or name another one has. No font of the system's takes a file's place, whatever its name.
A fifth of every typeface's pictures is test. Another release of Pillow may draw otherwise; the content hash tells.
"""

import hashlib
import io
import string
from pathlib import Path
from typing import Any

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    DataRequest,
    RequestError,
    dataset_of_rows,
    numpy_generator,
    one_line,
    register_dataset,
    shown,
)

from ._packages import package_file

CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
DRAWINGS, SIDE, LARGE = 10, 28, 64
LISTED = 5
"""How many fonts a note names."""


class UnfitError(Exception):
    """Why a font is left out."""


@register_dataset(
    "typefaces", source="installed fonts", summary="62 characters by typeface, 28x28 grey: a feature shift"
)
def load(request: DataRequest) -> ArrayDataset:
    """Draw every character in every typeface."""
    folder = Path(request.argument or package_file("typefaces", "matplotlib", "mpl-data", "fonts", "ttf"))
    if not folder.is_dir():
        raise RequestError(f"data set 'typefaces' needs a folder of fonts, found {shown(str(folder))}")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".ttf", ".otf") and path.is_file())
    if not files:
        raise RequestError(f"typefaces: there is no file *.ttf or *.otf below {folder}")
    drawn: dict[str, np.ndarray] = {}
    left_out, known = list[str](), dict[str, str]()
    for path in files:
        try:
            if path.name in drawn:
                raise UnfitError("another one has its name")
            pictures = drawings(path)
            first = known.setdefault(hashlib.sha256(pictures.tobytes()).hexdigest(), path.name)
            if first != path.name:
                raise UnfitError(f"its pictures are those of {first}")
            drawn[path.name] = pictures
        except UnfitError as error:
            left_out.append(f"{shown(path.name, 40)}: {error}")
    listed = "; ".join(left_out[:LISTED]) + ("; ..." if len(left_out) > LISTED else "")
    if not drawn:
        raise RequestError(f"typefaces: none of {len(files)} fonts below {folder} can be used: {listed}")
    notes = [f"{len(drawn)} typefaces: {', '.join(list(drawn)[:LISTED])}{', ...' if len(drawn) > LISTED else ''}"]
    if left_out:
        notes.append(f"{len(left_out)} of {len(files)} fonts are left out: {listed}")
    images = np.concatenate(list(drawn.values()))
    labels = np.tile(np.repeat(np.arange(len(CHARACTERS)), DRAWINGS), len(drawn))
    groups = np.repeat(np.arange(len(drawn)), len(CHARACTERS) * DRAWINGS)
    name = f"typefaces:{request.argument}".rstrip(":")
    return dataset_of_rows(name, images, labels, groups=groups, notes=notes, classes=len(CHARACTERS))


def drawings(path: Path) -> np.ndarray:
    """Pictures uint8 ``[62 * DRAWINGS, 28, 28]``, white on black, in the order of characters.

    UnfitError for a font that is damaged, or lacks characters or draws two of them alike (as boxes).
    """
    from PIL import Image

    rng = numpy_generator("typefaces", "drawings")
    found = np.empty((len(CHARACTERS), DRAWINGS, SIDE, SIDE), dtype=np.uint8)
    for at, image in enumerate(_plain(path)):
        for drawing in range(DRAWINGS):
            angle, scale = rng.uniform(-12, 12), rng.uniform(0.8, 1.1)
            shift = rng.integers(-6, 7, size=2)
            turned = image.rotate(angle, Image.Resampling.BILINEAR, translate=(int(shift[0]), int(shift[1])))
            half = round(0.75 * LARGE / scale)
            cut = turned.crop((LARGE - half, LARGE - half, LARGE + half, LARGE + half))
            found[at, drawing] = np.asarray(cut.resize((SIDE, SIDE), Image.Resampling.BOX))
    return found.reshape(-1, SIDE, SIDE)


def _plain(path: Path) -> list[Any]:
    """A large picture of every character, all of them different. UnfitError for a font that has none such."""
    from PIL import Image, ImageDraw, ImageFont

    plain: list[Any] = []
    try:
        # of its bytes: for a path that it cannot open Pillow takes a font of that name from the system's folders
        font = ImageFont.truetype(io.BytesIO(path.read_bytes()), LARGE)
        for character in CHARACTERS:
            image = Image.new("L", (2 * LARGE, 2 * LARGE))
            ImageDraw.Draw(image).text((LARGE, LARGE), character, fill=255, font=font, anchor="mm")
            plain.append(image)
    except Exception as error:  # FreeType's errors have no common base
        raise UnfitError(f"no readable font ({one_line(error)[:60]})") from error
    seen: dict[bytes, str] = {}
    for character, image in zip(CHARACTERS, plain, strict=True):
        if image.getbbox() is None:
            raise UnfitError(f"it draws nothing for {character!r}")
        first = seen.setdefault(image.tobytes(), character)
        if first != character:
            raise UnfitError(f"it draws {character!r} as {first!r}")
    return plain
