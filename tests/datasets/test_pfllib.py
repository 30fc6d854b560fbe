import json
import pickle

import numpy as np
import pytest

from pfl_bench.data.partition import make_partition
from pfl_bench.data.store import load_dataset

from .broken import assert_refused

RNG = np.random.default_rng(0)


def client(path, n, shape=(1, 6, 6), classes=4):
    data = {"x": RNG.normal(size=(n, *shape)).astype(np.float32), "y": np.arange(n) % classes}
    np.savez_compressed(path, data=data)
    return data


def folder_of(tmp_path, sizes=(20, 30, 8), shape=(1, 6, 6)):
    folder, data = tmp_path / "mnist", {}
    for part, share in (("train", 1.0), ("test", 0.5)):
        (folder / part).mkdir(parents=True)
        data[part] = [client(folder / part / f"{i}.npz", int(n * share), shape) for i, n in enumerate(sizes)]
    (folder / "config.json").write_text(json.dumps({"num_clients": len(sizes)}))
    return folder, data


def test_clients_and_their_split_stay_as_they_are(tmp_path):
    folder, data = folder_of(tmp_path)
    dataset = load_dataset(f"pfllib:{folder}")
    partition = make_partition("natural", {}, dataset, 3, 0)
    assert dataset.input.shape == (1, 6, 6) and partition.notes == ()
    for i in range(3):
        held = np.sort(np.concatenate([partition.train[i], partition.validation[i]]))
        right = data["train"][i]["x"].transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(dataset.train_inputs[held], right)
        np.testing.assert_array_equal(dataset.test_labels[partition.test[i]], data["test"][i]["y"])
    assert [len(own) for own in partition.validation] == [4, 6, 2], "a fifth of each"


def test_rows_are_a_table_and_whole_numbers_tokens(tmp_path):
    folder, _ = folder_of(tmp_path, shape=(7,))
    assert load_dataset(f"pfllib:{folder}").input.kind == "table"
    for part in ("train", "test"):
        for path in (folder / part).iterdir():
            np.savez(path, data={"x": RNG.integers(0, 50, (8, 5)), "y": np.arange(8) % 2})
    dataset = load_dataset(f"pfllib:{folder}")
    assert dataset.input.kind == "tokens"
    assert f"x are rows of whole numbers, read as {dataset.input.vocabulary} tokens up to the highest" in dataset.notes
    np.savez(folder / "test" / "2.npz", data={"x": np.full((8, 5), -1), "y": np.arange(8) % 2})
    assert_refused(f"pfllib:{folder}", r"test/2\.npz: x are tokens, whole numbers from 0, found -1")


def test_clients_without_samples_are_named(tmp_path):
    folder, _ = folder_of(tmp_path)
    client(folder / "train" / "3.npz", 0)
    client(folder / "test" / "3.npz", 0)
    client(folder / "test" / "1.npz", 0)
    notes = load_dataset(f"pfllib:{folder}").notes
    assert "1 of them without a sample, left out: 3" in notes
    assert "1 of 3 groups has no test sample: 1" in notes


class Harm:
    def __reduce__(self):
        return print, ("harm",)


def odd_values(good):
    x = good["x"]
    return {
        "missing": {**good, "x": np.where(np.arange(4)[:, None, None, None] == 2, np.nan, x)},
        "infinite": {**good, "x": x + np.inf}, "names": {**good, "y": np.asarray(list("abcd"))},
        "negative": {**good, "y": good["y"] - 1}, "fractions": {**good, "y": good["y"] / 3},
    }  # fmt: skip


def broken(case, folder):
    path = folder / "train" / "1.npz"
    good = {"x": np.zeros((4, 1, 6, 6), np.float32), "y": np.arange(4)}
    changes = {
        "no x": {"y": good["y"]}, "no dictionary": [1, 2], "labels short": {**good, "y": good["y"][:2]},
        "other shape": {**good, "x": np.zeros((4, 1, 5, 6), np.float32)}, "texts": {**good, "x": [([1, 2], 2)] * 4},
        "harmful": {**good, "x": Harm()},
    }  # fmt: skip
    if case in changes:
        np.savez(path, data=np.asarray(changes[case], dtype=object) if case == "no dictionary" else changes[case])
    elif case in odd_values(good):
        np.savez(path, data=odd_values(good)[case])
    elif case == "other key":
        np.savez(path, images=good["x"])
    elif case == "array":
        np.savez(path, data=good["x"])
    elif case == "lonely":
        path.unlink()
    elif case == "named":
        path.rename(folder / "train" / "bob.npz")
    elif case == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif case == "bare pickle":
        path.write_bytes(pickle.dumps(good))
    elif case == "no clients":
        for each in (folder / "train").iterdir():
            each.unlink()


BROKEN = {
    "no x": "no dictionary with x and y", "no dictionary": "no dictionary with x and y",
    "labels short": r"y has shape \(2,\)",
    "other shape": r"train/1\.npz: samples differ in shape: \(1, 5, 6\), and \(1, 6, 6\) of client 0",
    "missing": r"train/1\.npz: x of sample 2 has missing", "infinite": r"train/1\.npz: x of sample 0 has missing",
    "names": r"train/1\.npz: y must be whole numbers from 0, found <U1",
    "negative": r"train/1\.npz: y must be whole numbers from 0, found int64 -1",
    "fractions": r"train/1\.npz: y must be whole numbers from 0, found float64",
    "texts": "texts come as pairs", "harmful": "print, which is not read",
    "other key": "is not readable", "array": "not a dictionary of arrays", "lonely": "client 1 of",
    "named": "bob.npz is no client", "cut": "is not readable", "bare pickle": "is not readable",
    "no clients": "has no 0.npz",
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_broken_folders_are_one_line_and_nothing_in_them_is_run(tmp_path, case, capsys):
    folder, _ = folder_of(tmp_path)
    broken(case, folder)
    assert_refused(f"pfllib:{folder}", BROKEN[case])
    assert "harm" not in capsys.readouterr().out


def test_no_folder(tmp_path):
    assert_refused(f"pfllib:{tmp_path}", "needs a folder with train/ and test/")
    assert_refused("pfllib", "needs a folder")
