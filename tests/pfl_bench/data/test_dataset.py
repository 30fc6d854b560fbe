import math
import os
from fractions import Fraction

import numpy as np
import pytest

from pfl_bench.data.dataset import content_hash
from pfl_bench.data.held_out import hold_out
from pfl_bench.data.making import make_dataset
from pfl_bench.data.prepared import stored_arrays
from pfl_bench.data.standardise import statistics
from pfl_bench.data.store import DataRequest, load_dataset, read_npz, register_dataset, write_npz
from pfl_bench.errors import RequestError


def arrays(**changes):
    rng = np.random.default_rng(0)
    base = {
        "train_images": rng.integers(0, 256, (20, 8, 8), dtype=np.uint8),
        "train_labels": np.arange(20) % 4,
        "test_images": rng.integers(0, 256, (8, 8, 8), dtype=np.uint8),
        "test_labels": np.arange(8) % 4,
    }
    return {**base, **changes}


def test_grey_images_get_a_channel_and_statistics_are_measured():
    dataset = make_dataset("x", arrays())
    assert dataset.input_shape == (1, 8, 8)
    assert dataset.classes == 4
    pixels = dataset.train_inputs / 255
    assert dataset.mean == pytest.approx((pixels.mean(),))
    assert dataset.std == pytest.approx((pixels.std(),))


def test_statistics_of_pixels_are_exact_whatever_the_processor():
    rng = np.random.default_rng(0)
    for images in (rng.integers(0, 256, (50, 9, 9, 3), dtype=np.uint8), rng.integers(7, 9, (50, 9, 9, 1), np.uint8)):
        mean, std = statistics(images)
        for channel in range(images.shape[-1]):
            own = [Fraction(int(value), 255) for value in images[..., channel].ravel()]
            middle = sum(own) / len(own)
            assert mean[channel] == float(middle)
            spread = sum((value - middle) ** 2 for value in own) / len(own)
            assert std[channel] == pytest.approx(math.sqrt(spread), rel=1e-15)
    assert statistics(np.full((3, 2, 2, 1), 9, np.uint8)) == ((9 / 255,), (1.0,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train_images": np.full((20, 8, 8), 0.5), "test_images": np.full((20, 8, 8), 200.0)},
            "train and test images differ in scale: values up to 0.5 and 200; bring both to one",
        ),
        ({"train_images": np.zeros((20, 8, 8), np.int16)}, "train_images must be uint8 or float, found int16"),
        (
            {"train_images": np.zeros((20, 8, 8), np.float32)},
            "train and test samples differ in type: float32 and uint8",
        ),
        ({"train_images": np.zeros((20, 8), np.uint8)}, r"train_images must have shape \[N, H, W\]"),
        ({"train_images": np.zeros((20, 8, 8, 4), np.uint8)}, "train_images must have shape"),
        ({"train_images": np.zeros((0, 8, 8), np.uint8)}, "train_images is empty"),
        ({"test_images": np.zeros((8, 9, 8), np.uint8)}, "differ in shape"),
        ({"train_labels": np.zeros(19, np.int64)}, "train_labels has 19 entries for 20 samples"),
        ({"train_labels": np.zeros(20)}, "train_labels must be whole numbers"),
        ({"train_labels": np.full(20, -1)}, "train_labels has the value -1; the lowest allowed is 0"),
        ({"test_labels": np.full(8, 4)}, "test_labels has the value 4; the highest allowed is 3"),
    ],
)
def test_bad_arrays_are_named(changes, message):
    with pytest.raises(RequestError, match=message):
        make_dataset("x", arrays(**changes), classes=4)


def test_missing_array_is_named():
    broken = arrays()
    del broken["test_labels"]
    with pytest.raises(RequestError, match="'test_labels' is missing"):
        make_dataset("x", broken)


def test_content_hash_sees_values_shapes_types_and_names():
    a = np.arange(6)
    hashes = {content_hash({"a": v}) for v in (a, a.reshape(2, 3), a.astype(np.int32), a[::-1])}
    assert len(hashes | {content_hash({"b": a})}) == 5


@pytest.mark.parametrize("size", [0, 10, 200])
def test_truncated_npz_is_one_clear_line(tmp_path, size):
    path = tmp_path / "x.npz"
    write_npz(path, arrays())
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(RequestError, match="is not a readable .npz"):
        read_npz(path, "x")


def test_npz_with_pickled_objects_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, train_images=np.array([{}], dtype=object))
    with pytest.raises(RequestError, match="is not a readable .npz"):
        read_npz(path, "x")


def test_stored_arrays_fetch_once_and_failures_leave_nothing(tmp_path):
    calls = []

    def fetch(folder):
        calls.append(folder)
        return arrays()

    request = DataRequest(tmp_path / "data")
    for _ in range(2):
        assert set(stored_arrays("mnist", request, fetch)) == set(arrays())
    assert len(calls) == 1

    def no_network(folder):
        raise OSError("no route to host")

    with pytest.raises(RequestError, match=r"cifar10: download failed \(OSError: no route to host\); connect"):
        stored_arrays("cifar10", request, no_network)
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["mnist.npz"]


def test_recorded_hash_is_compared(tmp_path):
    write_npz(tmp_path / "mnist.npz", arrays())
    assert load_dataset("mnist", tmp_path).name == "mnist"
    (tmp_path / "mnist.json").write_text('{"sha256": "00"}')
    with pytest.raises(RequestError, match=r"mnist: SHA-256 is .*mnist\.json says 00"):
        load_dataset("mnist", tmp_path)
    (tmp_path / "mnist.json").write_text("{")
    with pytest.raises(RequestError, match=r"mnist\.json is damaged"):
        load_dataset("mnist", tmp_path)


def test_hold_out_is_stratified_fixed_and_complete():
    images, labels = np.arange(40, dtype=np.uint8).reshape(40, 1, 1), np.arange(40) % 4
    parts = hold_out("x", images, labels, 0.2)
    again = hold_out("x", images, labels, 0.2)
    assert np.array_equal(parts["test_images"], again["test_images"])
    assert np.bincount(parts["test_labels"]).tolist() == [2] * 4
    joined = np.concatenate([parts["train_images"], parts["test_images"]])
    assert sorted(joined.ravel()) == list(range(40))


def test_a_flipped_bit_in_a_compressed_npz_is_one_clear_line(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, **arrays())
    data = path.read_bytes()
    for place in range(50, len(data), 97):
        path.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        try:
            found = read_npz(path, "x")
        except RequestError as error:
            assert "is not a readable .npz" in str(error) and "\n" not in str(error)
        else:
            assert {key: value.tobytes() for key, value in found.items()} == {
                k: v.tobytes() for k, v in arrays().items()
            }


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.npz")
    with pytest.raises(RequestError, match="is no file"):
        read_npz(tmp_path / "x.npz", "x")


def test_a_data_directory_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RequestError, match=r"mnist: .*mnist\.npz could not be written: "):
        stored_arrays("mnist", DataRequest(tmp_path / "file"), lambda folder: arrays())


def test_a_damaged_prepared_file_says_what_to_do(tmp_path):
    (tmp_path / "mnist.npz").write_bytes(b"PK")
    with pytest.raises(RequestError, match="remove it and run 'pfl-bench data prepare mnist'"):
        load_dataset("mnist", tmp_path)


def test_half_written_files_are_not_read(tmp_path):
    write_npz(tmp_path / "mnist.npz", arrays())
    (tmp_path / ".mnist.npz.123").write_bytes(b"PK")
    (tmp_path / ".mnist.json.123").write_text("{")
    assert load_dataset("mnist", tmp_path).classes == 10
    (tmp_path / "mnist.json").mkdir()
    with pytest.raises(RequestError, match=r"mnist\.json is no file"):
        load_dataset("mnist", tmp_path)


def test_a_source_that_fails_is_one_line_that_says_where(tmp_path, clean_registries):
    @register_dataset("broken")
    def load(request):
        return {}["images"]

    with pytest.raises(RequestError, match=r"data set 'broken' could not be loaded: KeyError: 'images' .*line \d+"):
        load_dataset("broken", tmp_path)
    register_dataset("foreign")(lambda request: 5)
    with pytest.raises(RequestError, match="gave a int, no ArrayDataset"):
        load_dataset("foreign", tmp_path)


def test_an_npz_whose_list_of_arrays_lost_one_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    write_npz(path, arrays())
    data = bytearray(path.read_bytes())
    last = data.rfind(b"PK\1\2")
    before = data.rfind(b"PK\1\2", 0, last)
    data[before + 32] = len(data) - 22 - last  # the length of a comment that swallows the next entry
    path.write_bytes(data)
    with pytest.raises(RequestError, match="its list of arrays is damaged"):
        read_npz(path, "x")
