import io

import numpy as np
import pytest
from pfl_bench.datasets._torchvision import torchvision_class
from pfl_bench.datasets.torchvision import parameters_of
from PIL import Image

from pfl_bench.data.store import load_dataset
from pfl_bench.errors import RequestError

from .test_sources import fake_torchvision


def pictures(n, size=(6, 5), mode="L", label=lambda i: i % 3):
    return [(Image.new(mode, size, i if mode == "L" else (i, 0, 0)), label(i)) for i in range(n)]


class ByTrain:
    def __init__(self, root, train=True, download=False, split="digits"):
        assert download
        self.items = pictures(30 if train else 9) if split == "digits" else pictures(60 if train else 9)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, at):
        return self.items[at]


class ByVariant(ByTrain):
    """As EMNIST, which hands most of its options on."""

    splits = ("digits", "letters")

    def __init__(self, root, split, **kwargs):
        if split not in self.splits:
            raise ValueError(f"Unknown value {split!r} for argument split. Valid values are {set(self.splits)}.")
        super().__init__(root, split=split, **kwargs)


class BySplit(ByTrain):
    words: tuple[str, ...] = ("train", "val", "test")

    def __init__(self, root, split="train", download=False):
        if split not in self.words:
            raise ValueError(f"Unknown value '{split}' for argument split")
        self.items = pictures(30 if "train" in split else 9)


class TrainAndVal(BySplit):
    words = ("trainval", "val")


class OfVideos(BySplit):
    def __init__(self, root, frames, split="train"):
        raise AssertionError("it is not made")


class Whole(ByTrain):
    def __init__(self, root, download=False):
        self.items = pictures(30, mode="RGB")


def source(monkeypatch, **changes):
    fake_torchvision(
        monkeypatch, EMNIST=ByVariant, MNIST=ByTrain, SVHN=BySplit, Pets=TrainAndVal, EuroSAT=Whole, **changes
    )


def test_parts_are_used_as_they_are(tmp_path, monkeypatch):
    source(monkeypatch)
    dataset = load_dataset("torchvision:MNIST", tmp_path)
    assert (len(dataset.train_labels), len(dataset.test_labels), dataset.validation) == (30, 9, None)
    assert load_dataset("torchvision:EMNIST?split=letters", tmp_path).train_labels.shape == (60,)
    split = load_dataset("torchvision:SVHN", tmp_path)
    assert split.validation.sum() == 9 and len(split.train_labels) == 39 and split.input.shape == (1, 5, 6)
    assert len(load_dataset("torchvision:Pets", tmp_path).test_labels) == 9, "a set without test is tested on val"
    whole = load_dataset("torchvision:EuroSAT?size=4", tmp_path)
    assert whole.input.shape == (3, 4, 4) and len(whole.test_labels) == 6
    fake_torchvision(monkeypatch)
    assert load_dataset("torchvision:SVHN", tmp_path, download=False).sha256 == split.sha256, (
        "kept in the data directory"
    )


def test_what_a_set_takes_is_also_what_it_hands_on():
    """Of the real ones."""
    try:
        emnist, qmnist, kinetics = map(torchvision_class, ("EMNIST", "QMNIST", "Kinetics"))
    except RequestError as error:
        pytest.skip(str(error))
    assert {"train", "split", "download"} <= parameters_of(emnist)[0]
    assert parameters_of(emnist)[1] == {"root", "split"}
    assert {"train", "download"} <= parameters_of(qmnist)[0]
    assert parameters_of(kinetics)[1] == {"root", "frames_per_clip"}


def of_items(items, tested=None):
    """A set in one piece, or of two parts; an item that is a function is called when it is asked for."""

    class Given(Whole):
        def __init__(self, root, download=False):
            self.items = items

        def __getitem__(self, at):
            return self.items[at]() if callable(self.items[at]) else self.items[at]

    class OfParts(Given):
        def __init__(self, root, train=True, download=False):
            self.items = items if train else tested

    return Given if tested is None else OfParts


def damaged():
    return Image.open(io.BytesIO(b"<html>")), 0


def cut_short():
    stream = io.BytesIO()
    Image.effect_noise((40, 40), 9).save(stream, "png")
    image = Image.open(io.BytesIO(stream.getvalue()[:300]))
    return image.convert("RGB"), 0


def wide(mode):
    return Image.new(mode, (6, 5), 1000)


WRONG = {
    "differ in size": (
        pictures(5) + pictures(5, (7, 7)),
        r"differ in size, \(6, 5\) and \(7, 7\) \(sample 5\): add size=32",
    ),
    "no pictures": ([(np.zeros(3), 0)], "sample 0 is no picture with .* no classification set"),
    "boxes": ([*pictures(4), (Image.new("L", (6, 5)), {"box": 1})], "sample 4 is no picture .* classification set"),
    "texts": ([(Image.new("L", (3, 3)), "cat")], "sample 0 is no picture with a whole number as its class"),
    "yes and no": ([*pictures(4), (Image.new("L", (6, 5)), True)], "sample 4 is no picture with a whole number"),
    "no class": ([*pictures(4), (Image.new("L", (6, 5)), None)], "sample 4 is no picture with a whole number"),
    "half a class": ([*pictures(4), (Image.new("L", (6, 5)), 0.5)], "sample 4 is no picture with a whole number"),
    "a class below 0": (pictures(9) + pictures(9, label=lambda i: -1), "torchvision:Odd: .*-1"),
    "three things": ([(Image.new("L", (3, 3)), 0, "where")], "sample 0 is no picture with a whole number"),
    "pictures alone": ([Image.new("L", (3, 3))], "sample 0 is no picture with a whole number as its class"),
    "empty": ([], "torchvision-Odd: it is empty"),
    "one class of one picture": (pictures(1), "train_images is empty|has no|never"),
    "16 bits": ([*pictures(4), (wide("I;16"), 0)], "sample 4 is of mode 'I;16'; pictures must have 8 bits"),
    "32 bits": ([(wide("F"), 0)], "sample 0 is of mode 'F'; pictures must have 8 bits"),
    "a damaged picture": ([*pictures(4), damaged], "sample 4 is not readable: UnidentifiedImageError"),
    "a picture cut short": ([*pictures(4), cut_short], "sample 4 is not readable: OSError: .*truncated"),
}
OF_PARTS = {
    "an empty part": (pictures(9), [], "its part test is empty"),
    "another size to test": (pictures(9), pictures(3, (9, 9)), r"\(9, 9\) \(sample 0 of test\): add size=32"),
    "a class that is only tested": (pictures(9), pictures(3, label=lambda i: 7), "test_labels has class 7 3 times"),
    "damaged to test": (pictures(9), [damaged], "sample 0 of test is not readable"),
}


@pytest.mark.parametrize("case", [*WRONG, *OF_PARTS])
def test_sets_that_are_none_for_us_are_one_line(tmp_path, monkeypatch, case):
    *parts, said = {**WRONG, **OF_PARTS}[case]
    fake_torchvision(monkeypatch, Odd=of_items(*parts))
    with pytest.raises(RequestError, match=said) as refused:
        load_dataset("torchvision:Odd", tmp_path)
    text = str(refused.value)
    assert "\n" not in text and len(text) < 500 and "Odd: " in text and "download failed" not in text, text
    assert not list(tmp_path.iterdir()), "nothing is kept"


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("", "names no class of torchvision.datasets"), ("../x", "names no class"), ("Nothing", "importing it failed"),
        ("EMNIST?split=../x", "must be letters and digits"), ("EMNIST?size=0", "size='0' must be a whole number"),
        ("EMNIST?train=1", "option 'train=1' must be one of split="), ("EMNIST?size=9999", "from 1 to 1024"),
        ("function", "is no data set"), ("EMNIST", "EMNIST has variants: digits, letters; add [?]split=VARIANT"),
        ("EMNIST?split=mnist", "split='mnist' is no variant: ValueError: Unknown value 'mnist' .* Valid values are"),
        ("Video", "torchvision.datasets.Video needs frames, for which there is no option"),
        ("SVHN?split=extra", "split='extra' has no meaning: torchvision.datasets.SVHN has no variants"),
        ("EuroSAT?split=extra", "EuroSAT has no variants"),
    ],
)  # fmt: skip
def test_wrong_requests(tmp_path, monkeypatch, argument, said):
    source(monkeypatch, function=len, Video=OfVideos)
    with pytest.raises(RequestError, match=said):
        load_dataset(f"torchvision:{argument}", tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_the_network_the_command_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"run 'pfl-bench data prepare torchvision:EMNIST\?split=letters'"):
        load_dataset("torchvision:EMNIST?split=letters", tmp_path, download=False)
