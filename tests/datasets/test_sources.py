import sys
import types

import numpy as np
import pytest
from PIL import Image

from pfl_bench.data.store import load_dataset, write_npz
from pfl_bench.errors import RequestError
from pfl_bench.registry import DATASETS


def test_all_sources_are_found():
    assert set(DATASETS.names()) == {
        "digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "omniglot", "npz", "imagefolder", "synthetic",
        "csv", "parquet", "wisdm", "office_caltech", "shakespeare", "pfllib", "torchvision", "ag_news", "leaf", "hf",
        "rodents", "migraine", "watch", "typefaces", "folio", "exported", "sample",
    }  # fmt: skip


def test_digits_are_real_and_offline():
    digits = load_dataset("digits")
    assert len(digits.train_labels) + len(digits.test_labels) == 1797
    assert digits.classes == 10 and digits.input_shape == (1, 8, 8)
    assert digits.train_inputs.max() == 255


def test_digits_are_scikit_learns_with_and_without_its_file(monkeypatch):
    whole = load_dataset("digits").sha256
    monkeypatch.setattr("pfl_bench.datasets.digits.find_spec", lambda name: None)
    assert load_dataset("digits").sha256 == whole


def test_synthetic_options():
    dataset = load_dataset("synthetic:classes=3,channels=3,side=12,n=60")
    assert dataset.classes == 3 and dataset.input_shape == (3, 12, 12)
    with pytest.raises(RequestError, match="synthetic: option 'classes=x' must be one of"):
        load_dataset("synthetic:classes=x")


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("n=\u00b2", "must be one of"), ("n=\u0663", "must be one of"), ("n=0", "must be one of"),
        ("n=1,,", "option ''"),
        ("m=1", "must be one of"), ("n=240,n=100", "option 'n' is given twice"), ("n=9999999,side=99", "most allowed"),
        ("n=99999999999", "must be one of"), ("classes=9999999,side=9", "most allowed"),
    ],
)  # fmt: skip
def test_wrong_synthetic_options(argument, said):
    with pytest.raises(RequestError, match=f"^synthetic: .*{said}"):
        load_dataset(f"synthetic:{argument}")


def test_npz_of_ones_own(tmp_path):
    rng = np.random.default_rng(0)
    write_npz(
        tmp_path / "mine.npz",
        {
            "train_images": rng.integers(0, 255, (10, 8, 8, 3), dtype=np.uint8),
            "train_labels": np.arange(10) % 2,
            "test_images": rng.integers(0, 255, (4, 8, 8, 3), dtype=np.uint8),
            "test_labels": np.arange(4) % 2,
            "train_groups": np.arange(10) % 5,
            "test_groups": np.arange(4) % 4,
        },
    )
    dataset = load_dataset(f"npz:{tmp_path}/mine.npz")
    assert dataset.classes == 2 and dataset.train_groups is not None
    with pytest.raises(RequestError, match="does not exist"):
        load_dataset(f"npz:{tmp_path}/other.npz")
    with pytest.raises(RequestError, match="needs a path"):
        load_dataset("npz")


@pytest.mark.parametrize("separate", [True, False])
def test_imagefolder(tmp_path, separate):
    for split in ("train", "test") if separate else ("",):
        for label, name in enumerate(("cat", "dog")):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for i in range(5):
                Image.new("RGB", (10, 8), (label * 200, i, 0)).save(folder / f"{i}.png")
    dataset = load_dataset(f"imagefolder:{tmp_path}")
    assert dataset.classes == 2 and dataset.input_shape == (3, 8, 10)
    red = dataset.test_inputs[..., 0].mean(axis=(1, 2))
    assert np.array_equal(red > 100, dataset.test_labels == 1)


def test_imagefolder_problems_are_named(tmp_path):
    with pytest.raises(RequestError, match="needs a folder"):
        load_dataset(f"imagefolder:{tmp_path}/none")
    (tmp_path / "cat").mkdir()
    with pytest.raises(RequestError, match="no pictures"):
        load_dataset(f"imagefolder:{tmp_path}")
    (tmp_path / "cat" / "a.png").write_bytes(b"not a picture")
    with pytest.raises(RequestError, match="a.png is not a readable picture"):
        load_dataset(f"imagefolder:{tmp_path}")
    Image.new("L", (4, 4)).save(tmp_path / "cat" / "a.png")
    Image.new("L", (5, 4)).save(tmp_path / "cat" / "b.png")
    with pytest.raises(RequestError, match="b.png has shape"):
        load_dataset(f"imagefolder:{tmp_path}")


@pytest.mark.parametrize("key", ["val_writers", "train_writers", "extra_images", "unlabeled_x"])
def test_parts_of_an_npz_that_would_not_be_used_are_refused(tmp_path, key):
    images, labels = np.zeros((8, 4, 4), np.uint8), np.arange(8) % 2
    parts = {"train_images": images, "train_labels": labels, "test_images": images, "test_labels": labels}
    np.savez(tmp_path / "x.npz", **parts, remarks=np.zeros(1))
    assert load_dataset(f"npz:{tmp_path}/x.npz").notes == ("1 arrays of the file are not used: 'remarks'",)
    np.savez(tmp_path / "x.npz", **parts, **{key: labels})
    with pytest.raises(RequestError, match=f"array '{key}' would not be used"):
        load_dataset(f"npz:{tmp_path}/x.npz")
    np.savez(tmp_path / "x.npz", **parts, test_groups=labels)
    with pytest.raises(RequestError, match="'train_groups' is missing"):
        load_dataset(f"npz:{tmp_path}/x.npz")


def class_folders(base, *names, pictures=5):
    for name in names:
        (base / name).mkdir(parents=True)
        for i in range(pictures):
            Image.new("L", (4, 4), i).save(base / name / f"{i}.png")


def test_hidden_and_empty_folders_are_no_classes(tmp_path):
    class_folders(tmp_path, "cat", "dog", ".ipynb_checkpoints", "__MACOSX")
    (tmp_path / "bird").mkdir()
    (tmp_path / "cat" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "README.md").write_text("mine")
    dataset = load_dataset(f"imagefolder:{tmp_path}")
    assert dataset.classes == 2
    assert "folders without a picture are no classes: bird" in dataset.notes
    assert any("hidden folders" in note and ".ipynb_checkpoints" in note for note in dataset.notes)
    assert any("README.md is no picture and not used" in note for note in dataset.notes)


def test_nothing_in_a_folder_is_dropped_without_a_word(tmp_path):
    def refused(message):
        with pytest.raises(RequestError, match=message):
            load_dataset(f"imagefolder:{tmp_path}")

    class_folders(tmp_path, "cat", "dog")
    (tmp_path / "cat" / "a.svg").write_text("x")
    refused(r"a\.svg is of another type than \.bmp")
    (tmp_path / "cat" / "a.svg").unlink()
    class_folders(tmp_path / "cat", "more")
    refused("cat holds the folder 'more'")
    (tmp_path / "cat").rename(tmp_path / ".cat")
    Image.new("L", (4, 4)).save(tmp_path / "stray.png")
    refused(r"stray\.png lies in no class's folder")
    (tmp_path / "stray.png").unlink()
    class_folders(tmp_path, "eel", pictures=1)
    refused("class 'eel' has one picture")


@pytest.mark.parametrize(
    ("part", "name", "message"),
    [
        ("extra", "cat", "extra would not be used beside train/, val/ and test/"),
        ("test", "eel", "class 'eel' has no picture in train/ and some elsewhere"),
        ("val", "eel", "class 'eel' has no picture in train/ and some elsewhere"),
    ],
)
def test_parts_and_classes_that_have_no_place_are_refused(tmp_path, part, name, message):
    class_folders(tmp_path / "train", "cat", "dog")
    class_folders(tmp_path / "test", "cat", "dog")
    assert load_dataset(f"imagefolder:{tmp_path}").classes == 2
    class_folders(tmp_path / part, name)
    with pytest.raises(RequestError, match=message):
        load_dataset(f"imagefolder:{tmp_path}")


@pytest.mark.parametrize(
    "spec", ["digits:3", "mnist:x", "synthetic:n=\N{SUPERSCRIPT TWO}", "synthetic:n=9999999,side=99"]
)
def test_arguments_that_mean_nothing_are_refused(tmp_path, spec):
    with pytest.raises(RequestError):
        load_dataset(spec, tmp_path, download=False)


class FakePart:
    """Stands in for a torchvision data set."""

    def __init__(self, root, train=True, download=True, background=None):
        n = 40 if train else 10
        self.data = np.zeros((n, 8, 8), np.uint8) + np.arange(n, dtype=np.uint8)[:, None, None]
        self.targets = list(np.arange(n) % 10)


class FakeColourPart(FakePart):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.data = np.repeat(self.data[..., None], 3, axis=3)


def fake_torchvision(monkeypatch, **classes):
    package, datasets = types.ModuleType("torchvision"), types.ModuleType("torchvision.datasets")
    for name, cls in classes.items():
        setattr(datasets, name, cls)
    package.datasets = datasets
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)


@pytest.mark.parametrize(
    ("name", "cls"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST"), ("cifar10", "CIFAR10")]
)
def test_download_is_stored_and_hashed(tmp_path, monkeypatch, name, cls):
    fake_torchvision(monkeypatch, **{cls: FakeColourPart if name == "cifar10" else FakePart})
    dataset = load_dataset(name, tmp_path)
    assert len(dataset.train_labels) == 40
    assert (tmp_path / f"{name}.npz").exists() and dataset.sha256 in (tmp_path / f"{name}.json").read_text()
    monkeypatch.delitem(sys.modules, "torchvision.datasets")
    assert load_dataset(name, tmp_path).sha256 == dataset.sha256


def test_torchvision_that_does_not_fit_torch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(RequestError, match="needs a torchvision that fits the installed torch"):
        load_dataset("mnist", tmp_path)
    assert not list(tmp_path.iterdir())


def test_omniglot_is_pooled_by_alphabet(tmp_path, monkeypatch):
    class FakeOmniglot:
        def __init__(self, root, background, download):
            first = 0 if background else 2
            self._characters = [f"Alphabet{first + a}/character{c:02d}" for a in range(2) for c in range(3 + a)]
            self.items = [
                (Image.new("1", (105, 105), 1), label) for label in range(len(self._characters)) for _ in range(20)
            ]

        def __iter__(self):
            return iter(self.items)

    fake_torchvision(monkeypatch, Omniglot=FakeOmniglot)
    dataset = load_dataset("omniglot", tmp_path)
    assert dataset.input_shape == (1, 28, 28)
    assert dataset.classes == 4, "labels number the characters within an alphabet"
    assert set(dataset.train_groups) == {0, 1, 2, 3}
    per_character = np.unique(np.stack([dataset.test_groups, dataset.test_labels]), axis=1, return_counts=True)[1]
    assert set(per_character) == {3}, "3 of 20 drawings are test"
    assert dataset.train_inputs.max() == 0, "white paper becomes 0"


def test_cifar100_super_classes(tmp_path, monkeypatch):
    from pfl_bench.datasets import cifar100

    monkeypatch.setattr(cifar100, "fetch_images", lambda name, folder: _cifar100_arrays(folder))
    dataset = load_dataset("cifar100", tmp_path)
    assert dataset.classes == 100
    assert dataset.train_groups.tolist() == [i % 20 for i in range(40)]


def _cifar100_arrays(folder):
    import pickle

    archive = folder / "cifar-100-python"
    archive.mkdir(parents=True)
    for split, n in (("train", 40), ("test", 20)):
        (archive / split).write_bytes(pickle.dumps({"coarse_labels": [i % 20 for i in range(n)]}))
    return {
        "train_images": np.zeros((40, 32, 32, 3), np.uint8),
        "train_labels": np.arange(40),
        "test_images": np.zeros((20, 32, 32, 3), np.uint8),
        "test_labels": np.arange(20),
    }
