"""``imagefolder:PATH``: damaged pictures, pictures of other kinds, and files and folders that would be dropped."""

import os
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pfl_bench.data.held_out import hold_out
from pfl_bench.data.making import make_dataset

from .cases import Case, damage, kind
from .npz import read

CLASSES, EACH = ("ant", "bee", "cat"), 8


def pictures(r: random.Random) -> np.ndarray:
    """Grey pixels ``[classes, pictures, H, W]``."""
    return np.random.default_rng(r.randrange(2**32)).integers(0, 256, (len(CLASSES), EACH, 6, 5), dtype=np.uint8)


def right(pixels: np.ndarray) -> str:
    """The hash of the pixels ``[classes, pictures, H, W(, 3)]`` as they must be understood."""
    labels = np.repeat(np.arange(len(pixels)), pixels.shape[1])
    return make_dataset("x", hold_out("imagefolder", pixels.reshape(-1, *pixels.shape[2:]), labels, 0.2)).sha256


def write(folder: Path, pixels: np.ndarray, suffix: str = "png") -> list[Path]:
    """A picture per entry, in the folder of its class."""
    paths = []
    for name, own in zip(CLASSES, pixels, strict=True):
        (folder / name).mkdir(parents=True)
        for i, each in enumerate(own):
            paths.append(folder / name / f"{i}.{suffix}")
            Image.fromarray(each).save(paths[-1])
    return paths


def _case(folder: Path, wanted: str | None = None, must_read: bool | None = None) -> Case:
    must = wanted is not None if must_read is None else must_read
    return Case(lambda: read(f"imagefolder:{folder}"), wanted, must)


@kind
def damaged_picture(r: random.Random, folder: Path) -> Case:
    pixels = pictures(r)
    path = r.choice(write(folder, pixels))
    path.write_bytes(damage(path.read_bytes(), r))
    return _case(folder, right(pixels), False)


@kind
def cut_picture(r: random.Random, folder: Path) -> Case:
    pixels = pictures(r).repeat(8, 2).repeat(8, 3)
    path = r.choice(write(folder, pixels, r.choice(["png", "jpg", "bmp", "webp", "gif", "tif", "pgm"])))
    data = path.read_bytes()
    path.write_bytes(data[: r.randrange(len(data) // 2)])
    return _case(folder)


def _png(width: int, height: int, depth: int = 8, colour: int = 0) -> bytes:
    """A picture that says it is of this size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


@kind
def no_picture_at_all(r: random.Random, folder: Path) -> Case:
    path = r.choice(write(folder, pictures(r)))
    path.unlink()
    choice = r.randrange(8)
    if choice == 0:
        path.mkdir()
    elif choice == 1:
        os.mkfifo(path)
    elif choice == 2:
        path.symlink_to("nowhere")
    elif choice == 3:
        path.write_bytes(_png(r.choice([20_000, 2**31 - 1]), r.choice([20_000, 2**31 - 1])))
    elif choice == 4:
        path.write_bytes(_png(0, 5))
    elif choice == 5:
        path.write_bytes(_png(6, 5, r.choice([0, 3, 99]), r.choice([0, 1, 7])))
    else:
        path.write_bytes(
            r.choice([b"", b"GIF89a", b"%!PS-Adobe\n", b"P5\n6 5\n255\n", b"\xff\xd8\xff", r.randbytes(99)])
        )
    return _case(folder)


@kind
def pictures_without_a_rule(r: random.Random, folder: Path) -> Case:
    path = r.choice(write(folder, pictures(r)))
    path.unlink()
    grey = Image.new("L", (5, 6), 7)
    choice = r.randrange(4)
    if choice == 0:
        frames = [grey, Image.new("L", (5, 6), 90)]
        suffix = r.choice(["gif", "webp", "tif", "png"])
        frames[0].save(path.with_suffix(f".{suffix}"), save_all=True, append_images=frames[1:])
    elif choice == 1:
        Image.new(r.choice(["F", "I"]), (5, 6), 3).save(path.with_suffix(".tif"))
    elif choice == 2:
        Image.new("LAB", (5, 6)).save(path.with_suffix(".tif"))
    else:
        Image.new("L", r.choice([(6, 5), (5, 7), (1, 1)])).save(path)
    return _case(folder)


def _converted(each: np.ndarray, i: int, r: random.Random) -> tuple[Any, np.ndarray, str]:
    """A picture in another mode, the pixels that it means, and its file's type."""
    grey, rgb = Image.fromarray(each), np.stack([each, each[::-1], each[:, ::-1]], -1)
    alpha = np.where(each > 128, 255, 0).astype(np.uint8)
    on_white = np.where(alpha[..., None] > 0, rgb, 255).astype(np.uint8)
    as_rgb = np.repeat(each[..., None], 3, 2)
    choices: list[tuple[Any, np.ndarray, str]] = [
        (grey, as_rgb, "png"), (Image.fromarray(rgb), rgb, "png"), (Image.fromarray(rgb), rgb, "bmp"),
        (Image.fromarray(rgb), rgb, "tif"), (grey.convert("RGBA"), as_rgb, "png"), (grey.convert("LA"), as_rgb, "png"),
        (Image.fromarray(np.concatenate([rgb, alpha[..., None]], -1)), on_white, "png"),
        (Image.fromarray((each.astype(np.uint16) << 8) + 99), as_rgb, "png"),
        (grey.convert("1", dither=Image.Dither.NONE), np.where(as_rgb > 127, 255, 0).astype(np.uint8), "png"),
        (grey.convert("P"), as_rgb, "png"), (grey, as_rgb, "pgm"), (Image.fromarray(rgb), rgb, "ppm"),
        (Image.fromarray(rgb).convert("CMYK"), rgb, "tif"),
    ]  # fmt: skip
    return choices[1] if i == 0 else r.choice(choices)


@kind
def pictures_of_mixed_modes(r: random.Random, folder: Path) -> Case:
    """One is RGB for certain, so that all are."""
    pixels = pictures(r)
    meant = np.zeros((*pixels.shape, 3), np.uint8)
    for path, (c, i) in zip(write(folder, pixels), np.ndindex(pixels.shape[:2]), strict=True):
        path.unlink()
        image, meant[c, i], suffix = _converted(pixels[c, i], i, r)
        image.save(path.with_suffix(f".{suffix}"))
    return _case(folder, right(meant))


@kind
def grey_of_16_bits(r: random.Random, folder: Path) -> Case:
    deep = np.random.default_rng(r.randrange(2**32)).integers(0, 65536, (len(CLASSES), EACH, 6, 5)).astype(np.uint16)
    write(folder, deep, r.choice(["png", "tif"]))
    return _case(folder, right((deep >> 8).astype(np.uint8)))


@kind
def turned_by_exif(r: random.Random, folder: Path) -> Case:
    pixels = pictures(r)
    exif = Image.Exif()
    exif[0x0112] = r.choice([3, 6, 8])
    turns = {3: 2, 6: 1, 8: 3}[exif[0x0112]]
    for path, each in zip(write(folder, pixels), pixels.reshape(-1, 6, 5), strict=True):
        Image.fromarray(np.rot90(each, turns)).save(path, exif=exif)
    return _case(folder, right(pixels))


@kind
def what_would_be_dropped(r: random.Random, folder: Path) -> Case:
    paths = write(folder, pictures(r))
    own = r.choice(paths)
    choice = r.randrange(6)
    if choice == 0:
        own.rename(own.with_suffix(r.choice([".svg", ".heic", ".txt", ".npy", "", ".png.bak", ".raw"])))
    elif choice == 1:
        own.rename(folder / own.name)
    elif choice == 2:
        (own.parent / "more").mkdir()
        own.rename(own.parent / "more" / own.name)
    elif choice == 3:
        for path in own.parent.iterdir():
            if path != own:
                path.unlink()
    elif choice == 4:
        folder = folder / "deeper"
        folder.mkdir()
        (folder / "train").symlink_to(own.parent.parent)
    else:
        for path in paths:
            path.unlink()
    return _case(folder)


@kind
def parts_that_do_not_fit(r: random.Random, folder: Path) -> Case:
    write(folder / "train", pictures(r))
    paths = write(folder / "test", pictures(r))
    choice = r.randrange(6)
    if choice < 2:
        write(folder / r.choice(["extra", "unlabeled", "holdout"]), pictures(r))
    elif choice == 2:
        (folder / "test" / "dog").mkdir()
        paths[0].rename(folder / "test" / "dog" / "1.png")
    elif choice == 3:
        for path in (folder / "train" / CLASSES[0]).iterdir():
            path.unlink()
    elif choice == 4:
        (folder / "test").rename(folder / r.choice(["tests", "Test", "testing"]))
    else:
        for path in paths:
            path.unlink()
    return _case(folder)


@kind
def folders_that_are_no_classes(r: random.Random, folder: Path) -> Case:
    pixels = pictures(r)
    write(folder, pixels)
    for name in r.sample([".ipynb_checkpoints", "__MACOSX", ".git", ".thumbnails", "empty", "zzz"], 3):
        (folder / name).mkdir()
        if name.startswith((".", "__")):
            Image.new("L", (3, 3)).save(folder / name / "a.png")
    (folder / "ant" / ".DS_Store").write_bytes(b"\0")
    (folder / "bee" / "Thumbs.db").write_bytes(b"\0")
    (folder / "README.md").write_text("mine")
    return _case(folder, right(pixels))


@kind
def damaged_structure_of_a_picture(r: random.Random, folder: Path) -> Case:
    """Bytes exchanged at random in formats with checksums nowhere: no traceback; what is read cannot be judged."""
    paths = write(folder, pictures(r), suffix := r.choice(["jpg", "bmp", "gif", "tif", "webp", "pgm"]))
    path = r.choice(paths)
    data = bytearray(path.read_bytes())
    for _ in range(r.choice([1, 5])):
        data[r.randrange(min(len(data), 64))] = r.randrange(256)
    path.write_bytes(data)

    def read_somehow() -> str:
        read(f"imagefolder:{folder}")
        return suffix

    return Case(read_somehow, suffix)
