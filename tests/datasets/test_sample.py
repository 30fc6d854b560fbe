import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfl_bench.data.store import load_dataset, write_npz
from pfl_bench.errors import RequestError

from .broken import assert_refused

DIGITS = load_dataset("digits")
"""1,438 samples train and 359 test, 8 x 8, about as many of each of ten classes."""


@settings(max_examples=20, deadline=None)
@given(train=st.integers(100, 1437), test=st.integers(30, 358))
def test_every_class_keeps_its_share(train, test):
    part = load_dataset(f"sample:digits?train={train}&test={test}")
    for own, whole, number in (
        (part.train_labels, DIGITS.train_labels, train),
        (part.test_labels, DIGITS.test_labels, test),
    ):
        assert len(own) == number
        expected = np.bincount(whole, minlength=10) * number / len(whole)
        assert np.abs(np.bincount(own, minlength=10) - expected).max() <= 1


def test_samples_are_the_source_s_in_its_order_and_always_the_same():
    part = load_dataset("sample:digits?train=200")
    rows = {image.tobytes(): row for row, image in enumerate(DIGITS.train_inputs)}
    found = [rows[image.tobytes()] for image in part.train_inputs]
    assert found == sorted(found)
    assert (DIGITS.train_labels[found] == part.train_labels).all()
    assert (part.test_inputs == DIGITS.test_inputs).all() and part.mean == DIGITS.mean
    assert part.sha256 == load_dataset("sample:digits?train=200").sha256
    assert part.sha256 != load_dataset("sample:digits?train=201").sha256


def test_a_number_beyond_what_there_is_keeps_all():
    part = load_dataset("sample:digits?train=5000&test=5000")
    assert part.sha256 == DIGITS.sha256 and part.facts == DIGITS.facts


def test_images_averaged_down():
    part = load_dataset("sample:digits?train=100&side=4")
    whole = load_dataset("sample:digits?train=100")
    assert part.input.shape == (1, 4, 4)
    blocks = whole.train_inputs[:, :2, :2].astype(float).mean(axis=(1, 2))
    assert (part.train_inputs[:, 0, 0] == np.rint(blocks)).all()
    assert part.mean[0] == pytest.approx(part.train_inputs.mean() / 255)


def test_groups_their_names_and_validation_stay(tmp_path):
    rng = np.random.default_rng(0)
    sizes = {"train": 60, "validation": 20, "test": 20}
    arrays = {}
    for part, n in sizes.items():
        arrays |= {
            f"{part}_images": rng.integers(0, 255, (n, 4, 4), dtype=np.uint8),
            f"{part}_labels": np.arange(n) % 2, f"{part}_groups": np.arange(n) % 4,
        }  # fmt: skip
    write_npz(tmp_path / "own.npz", arrays)
    whole = load_dataset(f"npz:{tmp_path / 'own.npz'}")
    part = load_dataset(f"sample:npz:{tmp_path / 'own.npz'}?kind=image?train=40&test=10")
    assert whole.validation is not None and part.validation is not None and part.train_groups is not None
    assert len(part.train_labels) == 40 and 5 <= part.validation.sum() <= 15
    assert set(part.train_groups.tolist()) == {0, 1, 2, 3} and part.held_out_within == whole.held_out_within


def test_a_file_is_the_same_sample_wherever_it_lies_and_its_validation_part_does_not_vanish(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in {"train": 200, "val": 4, "test": 20}.items():
        arrays |= {
            f"{part}_images": rng.integers(0, 255, (n, 4, 4), dtype=np.uint8),
            f"{part}_labels": np.arange(n) % 2,
        }
    for place in ("own.npz", "there/moved.npz"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        write_npz(tmp_path / place, arrays)
    monkeypatch.chdir(tmp_path)
    places = ("own.npz", "./own.npz", tmp_path / "own.npz", "there/moved.npz")
    assert len({load_dataset(f"sample:npz:{place}?kind=image?train=150").sha256 for place in places}) == 1
    assert_refused("sample:npz:own.npz?kind=image?train=6", "train=6 keeps no sample of the source's validation part")


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("", "needs a source and a number"), (":digits", "needs a source and a number"),
        (":?train=5", "needs a source and a number"), (":digits?train=0", "must be a whole number"),
        (":digits?most=5", "must be one of"), (":digits?train=5&train=6", "is given twice"),
        (":digits?side=3", "must divide the images' sides, 8 and 8"), (":digits?side=16", "must divide"),
        (":sample:digits?train=9?train=5", "a sample of a sample"),
        (":none?train=5", "unknown"),
    ],
)  # fmt: skip
def test_wrong_samples(argument, said):
    assert_refused(f"sample{argument}", said)


def test_side_is_for_images(tmp_path):
    labels = np.arange(8) % 2
    table = {"train_inputs": np.ones((8, 3)) * labels[:, None], "train_labels": labels}
    write_npz(tmp_path / "own.npz", table | {key.replace("train", "test"): own for key, own in table.items()})
    assert_refused(f"sample:npz:{tmp_path / 'own.npz'}?kind=table?side=3", "side=3 is for images")


def test_a_class_that_only_the_test_part_keeps_is_refused():
    with pytest.raises(RequestError, match="never"):
        load_dataset("sample:digits?train=5")
