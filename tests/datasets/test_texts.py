"""AG News and LEAF's files."""

import json

import numpy as np
import pytest
from pfl_bench.datasets._words import FIRST, UNKNOWN, numbered, padded

from pfl_bench.data.partition import make_partition
from pfl_bench.data.store import load_dataset
from pfl_bench.errors import RequestError

from .broken import assert_refused

TRAIN = "".join(f'"{i % 4 + 1}","Title {i}","the cat sat on the mat {i % 4}"\n' for i in range(40))
TEST = "".join(f'"{i % 4 + 1}","News","the dog, ""so to say"", sat {i % 4}"\n' for i in range(20))


def news(tmp_path, train=TRAIN, test=TEST):
    (tmp_path / "ag_news").mkdir()
    for part, text in (("train", train), ("test", test)):
        if text is not None:
            (tmp_path / "ag_news" / f"{part}.csv").write_bytes(text if isinstance(text, bytes) else text.encode())


def test_words_are_numbered_by_their_frequency_in_training():
    (codes, lengths), (other, _) = numbered(["b a b", "a, B! c 7"], ["b x"])
    assert codes.tolist() == [3 - 1, 3, 2, 3, 2, 5, 4] and lengths.tolist() == [3, 4]
    assert other.tolist() == [FIRST, UNKNOWN]
    assert padded(codes, lengths, 5, 4).tolist() == [[2, 3, 2, 0, 0], [3, 2, 1, 1, 0]]


def test_news_are_tokens(tmp_path):
    news(tmp_path)
    dataset = load_dataset("ag_news:length=6,vocabulary=20", tmp_path, download=False)
    assert dataset.input.shape == (6,) and dataset.input.vocabulary == 20 and dataset.classes == 4
    assert dataset.train_inputs[0, 2] == FIRST, "the: the most frequent word"
    alone = load_dataset("ag_news:part=test", tmp_path, download=False)
    assert len(alone.test_labels) == 4 and (tmp_path / "ag_news.npz").exists()
    assert dataset.notes[:1] == ("40 texts in the train part; the published file has 120000",)
    (tmp_path / "ag_news" / "test.csv").write_text(TEST * 2)
    changed = [load_dataset(f"ag_news:{options}", tmp_path, download=False) for options in ("length=6", "part=test")]
    assert [len(each.test_labels) for each in changed] == [40, 8], "the file is read anew"


NEWS = {
    "empty": ("", "has no text"), "two fields": (TRAIN + '"1","x"\n', "row 41: it must be"),
    "class 5": (TRAIN + '"5","x","y"\n', "row 41: it must be"),
    "header": ("label,title,text\n" + TRAIN, "row 1: it must be"),
    "open quote": (TRAIN + '"1","x","y\n', "is not readable as CSV"),
    "latin": (TRAIN.encode() + b'"1","\xe9","x"\n', "UTF-8"),
    "binary": (bytes(range(256)), "is not readable|must be"), "json": ('{"a": 1}', "row 1: it must be"),
    "class missing": (TRAIN.replace('"1",', '"2",'), "never"),
    "tabs": (TRAIN.replace(",", "\t"), "is not readable as CSV"),
}  # fmt: skip


@pytest.mark.parametrize("case", NEWS)
def test_broken_news_are_one_line(tmp_path, case):
    news(tmp_path, train=NEWS[case][0])
    assert_refused("ag_news", NEWS[case][1], tmp_path)
    assert not (tmp_path / "ag_news.npz").exists()


@pytest.mark.parametrize(
    ("argument", "said"),
    [("length=0", "length='0'"), ("vocabulary=2", "more than 2"), ("part=train", "part=test, each once"),
     ("words=1", "must be one of length="), ("length=5,length=6", "each once")],
)  # fmt: skip
def test_wrong_options_of_news(tmp_path, argument, said):
    assert_refused(f"ag_news:{argument}", said, tmp_path)


def leaf(tmp_path, change=None, texts=False):
    rng, folder = np.random.default_rng(0), tmp_path / "femnist"
    for part, n in (("train", 10), ("test", 4)):
        (folder / part).mkdir(parents=True)
        data = {}
        for user in ("f1", "f2", "f3"):
            x = ["".join(rng.choice(list("abc "), 8)) for _ in range(n)] if texts else rng.random((n, 12)).tolist()
            data[user] = {
                "x": x,
                "y": [("a" if texts else 1) * 1 if i % 2 else ("b" if texts else 0) for i in range(n)],
            }
        document = {"users": list(data), "num_samples": [n] * 3, "user_data": data}
        if change and part == "train":
            document = change(document)
        (folder / part / "all.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return folder


def test_users_of_leaf_are_groups(tmp_path):
    folder = leaf(tmp_path)
    dataset = load_dataset(f"leaf:{folder}")
    assert dataset.input.kind == "table" and np.bincount(dataset.train_groups).tolist() == [10, 10, 10]
    assert load_dataset(f"leaf:{folder}?shape=3x4").input.shape == (1, 3, 4)
    assert [len(own) for own in make_partition("natural", {}, dataset, 3, 0).validation] == [2, 2, 2]


def test_texts_of_leaf_are_characters(tmp_path):
    dataset = load_dataset(f"leaf:{leaf(tmp_path, texts=True)}")
    assert dataset.input.shape == (8,) and dataset.input.vocabulary == 5 and dataset.classes == 2
    assert "labels: 2 names are numbered in their order: 'a', 'b'" in dataset.notes


def test_users_without_a_test_part_are_named(tmp_path):
    def without(document):
        return {"users": ["f1", "f9"], "user_data": {"f1": document["user_data"]["f1"], "f9": {"x": [], "y": []}}}

    dataset = load_dataset(f"leaf:{leaf(tmp_path, without)}")
    assert "1 of 4 users without a sample: 'f9'" in dataset.notes
    assert "2 of 3 groups have test samples only: 'f2', 'f3'" in dataset.notes
    with pytest.raises(RequestError, match=r"needs 2 and 1; 2 of 3 groups have fewer: .* \(they are 'f2', 'f3'\)$"):
        make_partition("natural", {}, dataset, 3, 0)
    assert any("x are read as a table of 12 features; ?shape=HEIGHTxWIDTH" in note for note in dataset.notes)


def changed(**own):
    def change(document):
        document["user_data"]["f2"] |= own
        return document

    return change


LEAF = {
    "no users": (lambda d: {"user_data": d["user_data"]}, "has not LEAF's form"),
    "unknown user": (lambda d: d | {"users": ["f1", "f9"]}, "all.json: user 'f9' is among users and not in user_data"),
    "user left out": (lambda d: d | {"users": ["f1", "f2"]}, "all.json: user 'f3' is in user_data and not among users"),
    "user is a list": (lambda d: d | {"user_data": dict.fromkeys(d["users"])}, "user 'f1' has no lists x and y"),
    "names and numbers": (changed(y=list("ababababab")), "user 'f2': y must be texts, or numbers; they are texts, and"),
    "other count": (lambda d: d | {"num_samples": [10, 11, 10]}, "user 'f2' has 10 samples, and num_samples says 11"),
    "other counts": (lambda d: d | {"num_samples": [10]}, "num_samples must have a number for each of 3 users"),
    "missing": (changed(x=[[0.5] * 12, [float("nan")] * 12] * 5), "all.json: user 'f2': x of sample 1 is missing"),
    "missing label": (changed(y=[float("nan")] * 10), "all.json: user 'f2': y of sample 0 is missing"),
    "no json": (lambda d: "{", "has not LEAF's form"), "a list": (lambda d: "[1, 2]", "has not LEAF's form"),
    "nested": (lambda d: "[" * 100_000, "has not LEAF's form"),
    "empty": (lambda d: {"users": [], "user_data": {}}, "has no sample"),
    "fewer y": (changed(y=[1]), "user 'f2' has 10 x and 1 y"),
    "ragged": (changed(x=[[1.0]] * 10), "user 'f2': samples differ in the length of x: 1, and 12 of 'f1'"),
    "ragged within": (changed(x=[[1.0]] * 9 + [[1.0, 2.0]]), "user 'f2': samples differ in the length of x"),
    "texts in numbers": (changed(x=["a"] * 10), "x must be texts, or numbers; they are texts, and numbers"),
    "labels as lists": (changed(y=[[1]] * 10), "differ in the length of y|y must be"),
    "null": (changed(x=[None] * 10), "must be texts|differ"),
}  # fmt: skip


@pytest.mark.parametrize("case", LEAF)
def test_broken_files_of_leaf_are_one_line(tmp_path, case):
    change, said = LEAF[case]
    assert_refused(f"leaf:{leaf(tmp_path, change)}", said)


def test_wrong_requests_of_leaf(tmp_path):
    folder = leaf(tmp_path)
    assert_refused(f"leaf:{folder}?shape=5x5", "shape=5x5 is 25 numbers; x has 12")
    assert_refused(f"leaf:{folder}?shape=5", "must be HEIGHTxWIDTH")
    assert_refused(f"leaf:{leaf(tmp_path / 'texts', texts=True)}?shape=2x4", "shape=2x4 has no meaning for texts")
    assert_refused(f"leaf:{tmp_path}", "needs a folder with train/ and test/")
    (folder / "test" / "all.json").unlink()
    assert_refused(f"leaf:{folder}", "test has no .json file")
