"""Sets with natural clients, on small files of the form in which their sources distribute them."""

import tarfile

import numpy as np
import pytest
from scipy.io import savemat

from pfl_bench.data.partition import make_partition
from pfl_bench.data.store import load_dataset

from .broken import assert_refused

RNG = np.random.default_rng(0)


def wisdm(rows=200, users=5):
    """An ARFF file like WISDM's."""
    head = ["@relation x", '@attribute "UNIQUE_ID" numeric', "", "@data"]
    for i in range(rows):
        features = [f"{v:.2f}" for v in RNG.normal(size=43)]
        features[33] = "?" if i % 9 == 0 else features[33]
        head.append(f"{i},{i % users + 1},{','.join(features)},{('Walking', 'Jogging', 'Sitting')[i // users % 3]}")
    return "\n".join(head) + "\n"


def play(speakers=4, speeches=40):
    """A play like those of tinyshakespeare; two speakers say little."""
    names = [f"SPEAKER {i}" for i in range(speakers)]
    words = ["to", "be", "or", "not", "that", "is", "the", "question", "whether", "tis", "nobler", "in", "mind"]
    blocks = [f"{name}:\n{' '.join(RNG.choice(words, 12))}.\n" for _ in range(speeches) for name in names]
    blocks += ["FOOL:\nAy.\n", "GHOST:\n"]
    return "\n".join(blocks)


def domains(folder, rows=30):
    folder.mkdir(exist_ok=True)
    for name in ("Caltech10", "amazon", "webcam", "dslr"):
        labels = (np.arange(rows) % 10 + 1)[:, None]
        savemat(folder / f"{name}.mat", {"fts": RNG.integers(0, 9, (rows, 800), dtype=np.uint8), "labels": labels})


def test_wisdm_is_a_table_of_people(tmp_path):
    (tmp_path / "wisdm_transformed.arff").write_text(wisdm())
    dataset = load_dataset("wisdm", tmp_path, download=False)
    assert dataset.input.shape == (43,) and dataset.classes == 3 and set(dataset.train_groups) == set(range(5))
    assert any("23 missing values in 1 feature are filled" in note for note in dataset.notes)
    partition = make_partition("natural", {}, dataset, 5, 0)
    assert {len(own) for own in partition.test} == {8} and {len(own) for own in partition.validation} == {6}
    (tmp_path / "wisdm_transformed.arff").unlink()
    assert load_dataset("wisdm", tmp_path, download=False).sha256 == dataset.sha256, "it is kept as wisdm.npz"


def test_the_archive_of_wisdm_is_unpacked(tmp_path, monkeypatch):
    from pfl_bench.datasets import wisdm as source

    (tmp_path / "f.arff").write_text(wisdm())
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "f.arff", f"WISDM_ar_v1.1/{source.FILES[0]}")
    monkeypatch.setattr(source, "download", lambda url, folder: tmp_path / "a.tar.gz")
    assert len(load_dataset("wisdm", tmp_path / "data").train_labels) == 160


def field(number, text):
    """A file with one field, counted from 1, of its line 8 changed."""
    lines = wisdm(4).split("\n")
    fields = lines[7].split(",")
    fields[number - 1] = text
    return "\n".join([*lines[:7], ",".join(fields), *lines[8:]])


ARFF = {
    "no data": ("@relation x\n", "no line @data"),
    "no rows": ("@data\n", "has no sample"),
    "short row": (wisdm(4) + "1,2,3\n", "line 9: 3 fields; an id, the user, 43 features"),
    "a word": (wisdm(4).replace("\n3,4,", "\n3,4,x", 1), "line 8: field 3 is 'x.*', which is no number"),
    "user no number": (
        wisdm(4).replace("\n1,2,", "\n1,joe,"),
        "line 6: user 'joe' must be a whole number from 1 to 36",
    ),
    "cut": (wisdm(4)[:-40], "line 8: .* fields"),
    "binary": ("\0\x01" * 99, "no line @data"),
    "infinite": (wisdm(40).replace("\n3,4,", "\n3,4,1e999,", 1), "line 8: 47 fields"),
    "one person": (wisdm(1), "."),
    "too large": (field(3, "1e39"), "line 8: field 3 is '1e39', which is no finite number"),
    "inf": (field(45, "inf"), "line 8: field 45 is 'inf', which is no finite number; [?] is what is missing"),
    "nan": (field(45, "nan"), "line 8: field 45 is 'nan', which is no finite number"),
    "new class": (field(46, "Flying"), "line 8: class 'Flying' must be one of Downstairs, Jogging"),
    "class missing": (field(46, "?"), "line 8: class '[?]' must be one of"),
    "nobody": (field(2, "99"), "line 8: user '99' must be a whole number from 1 to 36"),
    "half a person": (field(2, "1.5"), "line 8: user '1.5' must be"),
    "utf-16": (wisdm(4).encode("utf-16"), "is not UTF-8 text"),
    "html": ("<html>404</html>", "no line @data"),
}


@pytest.mark.parametrize("case", ARFF)
def test_broken_files_of_wisdm_are_one_line(tmp_path, case):
    content, said = ARFF[case]
    (tmp_path / "wisdm_transformed.arff").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert_refused("wisdm", said, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["wisdm_transformed.arff"], "nothing is kept"


def test_office_caltech_has_four_domains(tmp_path):
    domains(tmp_path / "office_caltech_surf")
    dataset = load_dataset("office_caltech", tmp_path, download=False)
    assert dataset.input.shape == (800,) and dataset.classes == 10
    assert np.bincount(dataset.train_groups).tolist() == [24] * 4 and dataset.held_out_within == "groups"
    np.testing.assert_allclose(dataset.train_inputs.sum(1), 1, rtol=1e-5)


def broken_domain(case, folder):
    path = folder / "dslr.mat"
    fts, labels = RNG.integers(0, 9, (30, 800)), (np.arange(30) % 10 + 1)[:, None]
    changed = {
        "other name": {"features": fts, "labels": labels}, "no labels": {"fts": fts},
        "few words": {"fts": fts[:, :9], "labels": labels}, "fewer labels": {"fts": fts, "labels": labels[:9]},
        "negative": {"fts": fts - 5, "labels": labels}, "fractions": {"fts": fts / 7, "labels": labels},
        "labels from 0": {"fts": fts, "labels": labels - 1}, "texts": {"fts": fts, "labels": "x"},
        "large counts": {"fts": fts * 100, "labels": labels}, "empty": {"fts": fts[:0], "labels": labels[:0]},
    }  # fmt: skip
    if case in changed:
        savemat(path, changed[case])
    else:
        path.write_bytes({"cut": path.read_bytes()[:300], "no file": b"", "text": b"<html>"}[case])


@pytest.mark.parametrize(
    "case", ["other name", "no labels", "few words", "fewer labels", "negative", "fractions", "labels from 0", "texts",
             "large counts", "empty", "cut", "no file", "text"]
)  # fmt: skip
def test_broken_files_of_office_caltech_are_one_line(tmp_path, case):
    domains(tmp_path / "office_caltech")
    broken_domain(case, tmp_path / "office_caltech")
    assert_refused("office_caltech", r"dslr\.mat", tmp_path)


def test_shakespeare_is_cut_in_the_order_of_what_is_said(tmp_path):
    (tmp_path / "tinyshakespeare.txt").write_text(play())
    dataset = load_dataset("shakespeare:step=40", tmp_path, download=False)
    assert dataset.input.kind == "tokens" and dataset.input.shape == (80,)
    assert any(
        "1 of 5 speakers have fewer than 1000 characters and are left out, with 3 of" in n for n in dataset.notes
    )
    partition = make_partition("natural", {}, dataset, 4, 0)
    assert min(len(own) for own in (*partition.validation, *partition.test)) >= 4
    found = np.sort(np.concatenate(partition.validation))
    assert np.array_equal(found, np.flatnonzero(dataset.validation)), "the source's validation part"
    other = load_dataset("shakespeare:step=20,length=50", tmp_path, download=False)
    assert other.input.shape == (50,) and other.sha256 != dataset.sha256


def test_no_character_is_both_trained_and_tested_on():
    from pfl_bench.datasets._plays import windows

    found = windows(5000, 80, 20)
    ends = {split: (starts.min(), starts.max() + 80) for split, starts in found.items()}
    assert ends["train"][1] < ends["validation"][0] and ends["validation"][1] < ends["test"][0]
    assert ends["test"][1] < 5000, "the next character is there"


PLAYS = {
    "empty": ("", "has no speech"), "no speeches": ("Once upon a time\n\nthere was", "begins no speech"),
    "short speeches": ("A:\nho\n\nB:\nhi\n", "no speaker has least=1000 characters; the most is 2"),
    "names only": ("A:\n\nB:\n", "has no speech"), "html": ("<html>\n404\n</html>", "begins no speech"),
    "not utf-8": (b"\xff\xfeA:\n\x80", "is not UTF-8"),
    "json": ('{"users": 1}', "begins no speech"), "one line": ("A: " + "x" * 3000, "begins no speech"),
    "no colon": ("HAMLET\nTo be\n", "begins no speech"),
    "stage direction": (play() + "\n\nExeunt\n", "'Exeunt' begins no"),
}  # fmt: skip


@pytest.mark.parametrize("case", PLAYS)
def test_broken_plays_are_one_line(tmp_path, case):
    content, said = PLAYS[case]
    (tmp_path / "tinyshakespeare.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert_refused("shakespeare", said, tmp_path)


@pytest.mark.parametrize(
    ("argument", "said"),
    [("step=0", "step='0' must be a whole"), ("steps=1", "option 'steps=1' must be"), ("least=9", "at least 10"),
     ("step=1,step=2", "each once"), ("length=", "length=''")],
)  # fmt: skip
def test_wrong_options_of_shakespeare(tmp_path, argument, said):
    assert_refused(f"shakespeare:{argument}", said, tmp_path)


@pytest.mark.parametrize("name", ["wisdm", "office_caltech", "shakespeare"])
def test_without_a_file_and_without_the_network_the_command_is_named(tmp_path, name):
    assert_refused(name, f"run 'pfl-bench data prepare {name}'", tmp_path)


def prepared(name, folder):
    """Files of a source in the data directory, and how to change one of them."""
    if name == "wisdm":
        path = folder / "wisdm_transformed.arff"
        path.write_text(wisdm())
        return path, wisdm(150).encode()
    if name == "shakespeare":
        path = folder / "tinyshakespeare.txt"
        path.write_text(play())
        return path, play(speeches=30).encode()
    domains(folder / "office_caltech")
    path = folder / "office_caltech" / "dslr.mat"
    before = path.read_bytes()
    domains(folder / "office_caltech", rows=20)
    changed = path.read_bytes()
    path.write_bytes(before)
    return path, changed


@pytest.mark.parametrize("name", ["wisdm", "office_caltech", "shakespeare"])
def test_a_file_that_changed_is_read_anew_and_a_broken_one_replaces_nothing(tmp_path, name):
    path, changed = prepared(name, tmp_path)
    whole, before = path.read_bytes(), load_dataset(name, tmp_path, download=False)
    kept = (tmp_path / f"{name}.npz").read_bytes()
    path.write_bytes(b"<html>")
    assert_refused(name, path.name, tmp_path)
    assert (tmp_path / f"{name}.npz").read_bytes() == kept
    path.write_bytes(changed)
    assert_refused(name, rf"{name}\.json says {before.sha256}: the data has changed since; remove .*json", tmp_path)
    path.write_bytes(whole)
    assert load_dataset(name, tmp_path, download=False).sha256 == before.sha256
    path.write_bytes(changed)
    (tmp_path / f"{name}.json").unlink()
    assert load_dataset(name, tmp_path, download=False).sha256 != before.sha256


@pytest.mark.parametrize(
    ("name", "note"),
    [("wisdm", "200 windows; the published file has 5418"), ("shakespeare", "in the published file 1027553"),
     ("office_caltech", "pictures of dslr; the published file has 157")],
)  # fmt: skip
def test_a_file_of_another_size_than_the_published_one_is_told(tmp_path, name, note):
    prepared(name, tmp_path)
    assert any(note in said for said in load_dataset(name, tmp_path, download=False).notes)
