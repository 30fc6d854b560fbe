import numpy as np
import pytest
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


class BySplit(ByTrain):
    words: tuple[str, ...] = ("train", "val", "test")

    def __init__(self, root, split="train", download=False):
        if split not in self.words:
            raise ValueError(f"Unknown value '{split}' for argument split")
        self.items = pictures(30 if "train" in split else 9)


class TrainAndVal(BySplit):
    words = ("trainval", "val")


class Whole(ByTrain):
    def __init__(self, root, download=False):
        self.items = pictures(30, mode="RGB")


def source(monkeypatch, **changes):
    fake_torchvision(monkeypatch, EMNIST=ByTrain, SVHN=BySplit, Pets=TrainAndVal, EuroSAT=Whole, **changes)


def test_parts_are_used_as_they_are(tmp_path, monkeypatch):
    source(monkeypatch)
    dataset = load_dataset("torchvision:EMNIST", tmp_path)
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


def of_items(items):
    class Given(Whole):
        def __init__(self, root, download=False):
            self.items = items

    return Given


WRONG = {
    "differ in size": (pictures(5) + pictures(5, (7, 7)), r"differ in size, \(6, 5\) and \(7, 7\): add size=32"),
    "no pictures": ([(np.zeros(3), 0)], "no classification set"),
    "boxes": ([(Image.new("L", (3, 3)), {"box": 1})], "no classification set"),
    "texts": ([(Image.new("L", (3, 3)), "cat")], "no classification set"),
    "empty": ([], "is empty"),
    "one class of one picture": (pictures(1), "train_images is empty|has no|never"),
}


@pytest.mark.parametrize("case", WRONG)
def test_sets_that_are_none_for_us_are_one_line(tmp_path, monkeypatch, case):
    items, said = WRONG[case]
    fake_torchvision(monkeypatch, Odd=of_items(items))
    with pytest.raises(RequestError, match=said) as refused:
        load_dataset("torchvision:Odd", tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("", "names no class of torchvision.datasets"), ("../x", "names no class"), ("Nothing", "importing it failed"),
        ("EMNIST?split=../x", "must be letters and digits"), ("EMNIST?size=0", "size='0' must be a whole number"),
        ("EMNIST?train=1", "option 'train=1' must be one of split="), ("EMNIST?size=9999", "from 1 to 1024"),
        ("function", "is no data set"),
        ("SVHN?split=extra", "split='extra' has no meaning: torchvision.datasets.SVHN has no variants"),
        ("EuroSAT?split=extra", "EuroSAT has no variants"),
    ],
)  # fmt: skip
def test_wrong_requests(tmp_path, monkeypatch, argument, said):
    source(monkeypatch, function=len)
    with pytest.raises(RequestError, match=said):
        load_dataset(f"torchvision:{argument}", tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_the_network_the_command_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"run 'pfl-bench data prepare torchvision:EMNIST\?split=letters'"):
        load_dataset("torchvision:EMNIST?split=letters", tmp_path, download=False)
