"""One picture file as uint8 pixels: what is converted, by which rule, and what is refused."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pfl_bench.api import RequestError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".pgm", ".ppm"}
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
GREY = ("1", "L")
GREY_WITH_ALPHA = ("LA", "La")
COLOUR = ("RGB", "P", "CMYK", "YCbCr")
COLOUR_WITH_ALPHA = ("RGBA", "RGBa", "PA")


@dataclass(frozen=True)
class Picture:
    """``pixels``: uint8, grey ``[H, W]`` or RGB ``[H, W, 3]``. ``deep``: it had 16 bits. ``transparent``: in part."""

    pixels: np.ndarray
    deep: bool = False
    transparent: bool = False


def read_picture(path: Path) -> Picture:
    """Read one picture; RequestError if it is damaged or of a kind with no rule.

    Turned upright as its EXIF data say. 16-bit grey becomes v >> 8. 1-bit is grey; palettes, CMYK and YCbCr are RGB.
    Transparent pixels are laid on white; an opaque alpha channel is dropped. Refused: several frames (but of a
    camera's MPO the first is the picture), 32-bit values, more pixels than Pillow takes for safe. PNG's checksums are
    compared; in the other formats a flipped bit cannot be told from another picture.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not path.is_file():  # a pipe would be waited for
        raise RequestError(f"imagefolder: {path} is no file")
    content = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                image.verify()
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                kind = str(image.format)
                if kind != "MPO" and (frames := getattr(image, "n_frames", 1)) > 1:
                    raise RequestError(f"imagefolder: {path} has {frames} frames; a picture has one: save one of them")
                return _as_picture(ImageOps.exif_transpose(image), kind, path)
    except RequestError:
        raise
    except Exception as error:  # Pillow's readers raise whatever damaged bytes lead to
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "its content is of no known format" if unknown else " ".join(str(error).split())[:200]
        raise RequestError(f"imagefolder: {path} is not a readable picture: {reason}") from error


def _as_picture(image: Any, kind: str, path: Path) -> Picture:
    has_alpha = image.mode in (*GREY_WITH_ALPHA, *COLOUR_WITH_ALPHA) or "transparency" in image.info
    if image.mode.startswith("I;16") or (image.mode == "I" and kind in ("PNG", "PPM")):
        if not has_alpha:
            return Picture((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8), deep=True)
    elif image.mode in (*GREY, *GREY_WITH_ALPHA, *COLOUR, *COLOUR_WITH_ALPHA):
        mode = "L" if image.mode in (*GREY, *GREY_WITH_ALPHA) else "RGB"
        if not has_alpha:
            return Picture(np.asarray(image.convert(mode)))
        return _on_white(image.convert("RGBA"), mode)
    raise RequestError(
        f"imagefolder: {path} is of mode {image.mode!r}{' with transparency' if has_alpha else ''}, for which there is "
        "no rule; save it as 8-bit grey or RGB"
    )


def _on_white(image: Any, mode: str) -> Picture:
    from PIL import Image

    transparent = image.getchannel("A").getextrema()[0] < 255
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Picture(np.asarray(Image.alpha_composite(white, image).convert(mode)), transparent=transparent)
