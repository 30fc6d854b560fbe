import numpy as np
import pytest
from pfl_bench.datasets._pictures import read_picture
from PIL import Image

from pfl_bench.data.store import load_dataset
from pfl_bench.errors import RequestError

GREY = np.arange(30, dtype=np.uint8).reshape(6, 5) * 8
RGB = np.stack([GREY, GREY[::-1], 255 - GREY], -1)
HALF = np.where(np.arange(30).reshape(6, 5) % 2, 255, 0).astype(np.uint8)
CLEAR = np.where(HALF[..., None], RGB, 255)
DEEP = GREY.astype(np.uint16) * 256 + 200


@pytest.mark.parametrize(
    ("image", "suffix", "pixels"),
    [
        (Image.fromarray(GREY), "png", GREY),
        (Image.fromarray(RGB), "bmp", RGB),
        (Image.fromarray(DEEP), "png", GREY),
        (Image.fromarray(DEEP), "tif", GREY),
        (Image.fromarray(HALF).convert("1"), "png", HALF),
        (Image.fromarray(GREY).convert("P"), "gif", np.repeat(GREY[..., None], 3, 2)),
        (Image.fromarray(RGB).convert("CMYK"), "tif", RGB),
        (Image.fromarray(RGB).convert("RGBA"), "png", RGB),
        (Image.fromarray(GREY).convert("LA"), "png", GREY),
        (Image.fromarray(np.concatenate([RGB, HALF[..., None]], -1)), "png", CLEAR),
        (Image.fromarray(np.stack([GREY, HALF], -1), "LA"), "png", np.where(HALF, GREY, 255)),
    ],
)
def test_what_a_picture_becomes(tmp_path, image, suffix, pixels):
    image.save(tmp_path / f"x.{suffix}")
    found = read_picture(tmp_path / f"x.{suffix}")
    assert found.pixels.dtype == np.uint8 and np.array_equal(found.pixels, pixels)
    assert found.deep == (image.mode == "I;16")
    assert found.transparent == (pixels is CLEAR or (image.mode == "LA" and pixels is not GREY))


def test_an_opaque_alpha_channel_is_not_transparent(tmp_path):
    Image.fromarray(RGB).convert("RGBA").save(tmp_path / "x.png")
    assert not read_picture(tmp_path / "x.png").transparent


@pytest.mark.parametrize(("turned", "quarters"), [(3, 2), (6, 1), (8, 3)])
def test_pictures_are_upright(tmp_path, turned, quarters):
    exif = Image.Exif()
    exif[0x0112] = turned
    Image.fromarray(np.rot90(RGB, quarters)).save(tmp_path / "x.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "x.png").pixels, RGB)


@pytest.mark.parametrize(
    ("mode", "suffix", "frames", "message"),
    [
        ("L", "gif", 3, "has 3 frames; a picture has one"),
        ("F", "tif", 1, "is of mode 'F', for which there is no rule"),
        ("I", "tif", 1, "is of mode 'I', for which there is no rule"),
    ],
)
def test_pictures_without_a_rule_are_refused(tmp_path, mode, suffix, frames, message):
    images = [Image.new(mode, (5, 6), i) for i in range(frames)]
    images[0].save(
        tmp_path / f"x.{suffix}", save_all=frames > 1, **({"append_images": images[1:]} if frames > 1 else {})
    )
    with pytest.raises(RequestError, match=message):
        read_picture(tmp_path / f"x.{suffix}")


def test_a_flipped_bit_in_a_png_is_noticed(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "x.png")
    data = bytearray((tmp_path / "x.png").read_bytes())
    data[60] ^= 4
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(RequestError, match=r"x\.png is not a readable picture"):
        read_picture(tmp_path / "x.png")


def test_a_huge_picture_is_refused_by_its_header(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # a warning of Pillow's from there, an error from twice that
    Image.fromarray(GREY).save(tmp_path / "x.png")
    with pytest.raises(RequestError, match="not a readable picture: Image size"):
        read_picture(tmp_path / "x.png")


def folder_of(tmp_path, *pictures):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i, each in enumerate(pictures * 3):
            Image.fromarray(each).save(tmp_path / name / f"{i:02d}.png")
    return load_dataset(f"imagefolder:{tmp_path}")


def test_grey_among_rgb_becomes_rgb_and_is_noted(tmp_path):
    dataset = folder_of(tmp_path, GREY, RGB)
    assert dataset.input_shape == (3, 6, 5)
    assert dataset.notes == ("6 grey pictures among 12 are taken as RGB",)


def test_16_bits_and_transparency_are_noted(tmp_path):
    dataset = folder_of(tmp_path, DEEP, np.concatenate([RGB, HALF[..., None]], -1))
    assert dataset.notes[0].startswith("6 pictures with 16-bit grey are scaled by v >> 8; their brightest pixel is 232")
    assert "transparent pixels of 6 pictures are laid on white" in dataset.notes
