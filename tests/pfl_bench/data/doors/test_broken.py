"""Broken exports: ten ways for each form, one clear line each, and nothing in them is run."""

import importlib.util
import json
import pickle
import re
import shutil

import numpy as np
import pytest

from pfl_bench.data.doors import export_split, import_split, read_split
from pfl_bench.data.store import read_npz, write_npz
from pfl_bench.errors import RequestError

from .splits import made

PARQUET = importlib.util.find_spec("pyarrow") is not None


class Harm:
    def __reduce__(self):
        return print, ("harm",)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder per form, written once."""
    folder = tmp_path_factory.mktemp("exported")
    for form in ("pfllib", "fl-bench", "npz", "json", *(["flower"] if PARQUET else [])):
        export_split(made("grey", groups=True), form, folder / form)
    return folder


def assert_refused(folder, said):
    with pytest.raises(RequestError) as refused:
        read_split(folder)
    text = str(refused.value)
    assert re.search(said, text), text
    assert "\n" not in text and len(text) < 700, text


def document(path, change):
    """A JSON file, changed."""
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


def manifest(**changes):
    def change(folder):
        def one(table):
            for place, value in changes.items():
                *above, last = place.split("__")
                inner = table
                for key in above:
                    inner = inner[key]
                if value is None:
                    del inner[last]
                else:
                    inner[last] = value

        document(folder / "pfl-bench.json", one)

    return change


def arrays(name, **changes):
    """An ``.npz`` with some arrays changed, or taken out."""

    def change(folder):
        held = read_npz(folder / name, "test")
        for key, to in changes.items():
            new = to(held.pop(key))
            held |= {} if new is None else {key: new}
        write_npz(folder / name, held)

    return change


def cut(name, share=0.5):
    def change(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return change


def gone(name):
    return lambda folder: (folder / name).unlink()


def one_more(array):
    found = array.copy()
    found.reshape(-1)[0] += 1
    return found


COMMON = {
    "no manifest": (gone("pfl-bench.json"), "has no pfl-bench.json"),
    "manifest cut": (cut("pfl-bench.json"), "is no manifest of an export, or was changed"),
    "manifest a list": (lambda f: (f / "pfl-bench.json").write_text("[1]"), "is no manifest of an export"),
    "another version": (manifest(version=2), "version=2 must be 1"),
    "no partition": (manifest(partition=None), "'partition' is missing"),
    "unknown format": (manifest(format="hdf"), "unknown format 'hdf'"),
    "another hash of the partition": (manifest(partition__sha256="0" * 64), "does not have the hash"),
    "one novel client more": (manifest(partition__novel=1), "does not have the hash"),
    "another hash of the data": (manifest(data__sha256="0" * 64), "samples are not those that were exported"),
    "another kind": (manifest(data__kind="picture"), "input kind='picture'"),
    "objects as samples": (manifest(data__dtype="object"), "dtype='object' must be"),
    "no indices": (gone("pfl-bench.npz"), "pfl-bench.npz does not exist"),
    "an index changed": (arrays("pfl-bench.npz", train_indices=one_more), "does not have the hash"),
    "no rest": (arrays("pfl-bench.npz", train_rest=lambda a: None), "'train_rest' is missing"),
    "groups changed": (arrays("pfl-bench.npz", train_groups=one_more), "samples are not those"),
}  # fmt: skip


@pytest.mark.parametrize("case", COMMON)
def test_what_lies_beside_every_export(exported, tmp_path, case):
    folder = tmp_path / "out"
    shutil.copytree(exported / "npz", folder)
    change, said = COMMON[case]
    change(folder)
    assert_refused(folder, said)


def client_file(change):
    def do(folder):
        path = folder / "train" / "1.npz"
        with np.load(path, allow_pickle=True) as archive:
            data = archive["data"].item()
        np.savez(path, data=np.asarray(change(data), dtype=object))

    return do


def labels_changed(data):
    return {**data, "y": np.roll(data["y"], 1)}


PFLLIB = {
    "client gone": (gone("train/1.npz"), "1.npz does not exist"),
    "cut": (cut("test/0.npz"), "is not readable"),
    "empty": (cut("validation/2.npz", 0), "is not readable"),
    "no y": (client_file(lambda d: {"x": d["x"]}), "no dictionary with x and y"),
    "a list": (client_file(lambda d: [1, 2]), "no dictionary with x and y"),
    "x shorter": (client_file(lambda d: {**d, "x": d["x"][1:]}), "x is float32"),
    "another shape": (client_file(lambda d: {**d, "x": d["x"].swapaxes(2, 3)}), "exported were numbers of shape"),
    "texts": (client_file(lambda d: {**d, "x": d["x"].astype(str)}), "x is <U"),
    "labels as fractions": (client_file(lambda d: {**d, "y": d["y"] / 2}), "y is float64"),
    "another pixel": (client_file(lambda d: {**d, "x": -d["x"]}), "samples are not those that were exported"),
    "missing values": (client_file(lambda d: {**d, "x": d["x"] * np.nan}), "has values that are no uint8"),
    "beyond a byte": (client_file(lambda d: {**d, "x": d["x"] * 9}), "has values that are no uint8"),
    "labels in another order": (client_file(labels_changed), "samples are not those that were exported"),
    "harmful": (client_file(lambda d: {**d, "x": Harm()}), "print, which is not read"),
}  # fmt: skip


def pickled(change):
    def do(folder):
        path = folder / "partition.pkl"
        table = pickle.loads(path.read_bytes())
        path.write_bytes(pickle.dumps(change(table)))

    return do


def with_indices(change):
    """``partition.pkl`` with the first client's training indices changed."""

    def do(table):
        own = dict(table["data_indices"][0])
        own["train"] = change(own["train"])
        return {**table, "data_indices": [own, *table["data_indices"][1:]]}

    return pickled(do)


def saved(name, change):
    return lambda folder: np.save(folder / name, change(np.load(folder / name)), allow_pickle=True)


FL_BENCH = {
    "no partition": (gone("partition.pkl"), "partition.pkl does not exist"),
    "no data": (gone("data.npy"), "data.npy does not exist"),
    "pickle cut": (cut("partition.pkl"), "is not readable"),
    "harmful": (pickled(lambda t: {**t, "data_indices": Harm()}), "print, which is not read"),
    "no indices": (pickled(lambda t: {"separation": t["separation"]}), "no data_indices"),
    "a list": (pickled(lambda t: [1]), "no data_indices"),
    "one client less": (pickled(lambda t: {**t, "data_indices": t["data_indices"][1:]}), "not as many as were"),
    "an index less": (with_indices(lambda rows: rows[1:]), "not as many as were exported"),
    "an index beyond": (with_indices(lambda rows: rows + 1000), "lies outside"),
    "an index below": (with_indices(lambda rows: rows - 1000), "lies outside"),
    "fractions": (with_indices(lambda rows: rows / 2), "lies outside"),
    "another sample": (with_indices(lambda rows: rows[::-1]), "samples are not those that were exported"),
    "data cut": (cut("data.npy"), "is not readable"),
    "data an archive": (lambda f: shutil.copy(f / "pfl-bench.npz", f / "data.npy"), "no array with samples"),
    "objects": (saved("data.npy", lambda a: a.astype(object)), "is not readable"),
    "another shape": (saved("data.npy", lambda a: a[:, :, :-1]), "exported were numbers of shape"),
    "fewer labels": (saved("targets.npy", lambda a: a[1:]), "exported were numbers of shape"),
    "labels changed": (saved("targets.npy", one_more), "samples are not those"),
}  # fmt: skip

NPZ = {
    "no data": (gone("data.npz"), "data.npz does not exist"),
    "cut": (cut("data.npz"), "is not a readable .npz"),
    "a folder": (lambda f: ((f / "data.npz").unlink(), (f / "data.npz").mkdir()), "is no file"),
    "no labels": (arrays("data.npz", test_labels=lambda a: None), "'test_labels' is missing"),
    "no images": (arrays("data.npz", train_images=lambda a: None), "'train_images' is missing"),
    "fewer images": (arrays("data.npz", train_images=lambda a: a[:5]), "train has no sample"),
    "another shape": (arrays("data.npz", train_images=lambda a: a[:, 1:]), "samples have shape"),
    "a pixel": (arrays("data.npz", train_images=one_more), "samples are not those that were exported"),
    "a label": (arrays("data.npz", test_labels=one_more), "samples are not those that were exported"),
    "texts": (arrays("data.npz", train_labels=lambda a: a.astype(str)), "labels are <U"),
    "fractions": (arrays("data.npz", train_labels=lambda a: a / 2), "has values that are no int64"),
    "nothing": (arrays("data.npz", train_labels=lambda a: np.asarray(1)), "train has no sample"),
}  # fmt: skip


def users(change):
    return lambda folder: document(folder / "train" / "data.json", lambda table: change(table["user_data"]))


def put(client, key, value):
    def change(all_users):
        all_users[client][key] = value(all_users[client][key]) if callable(value) else value

    return users(change)


JSON = {
    "no file": (gone("test/data.json"), "is not readable, or not JSON"),
    "cut": (cut("train/data.json"), "is not readable, or not JSON"),
    "a list": (lambda f: (f / "train" / "data.json").write_text("[]"), "is not readable, or not JSON"),
    "no users": (lambda f: (f / "train" / "data.json").write_text("{}"), "'user_data' is missing"),
    "user gone": (users(lambda u: u.pop("1")), "'1' is missing"),
    "no x": (users(lambda u: u["1"].pop("x")), "client 1 has no x of equal rows"),
    "rows of unequal length": (put("0", "x", lambda x: [x[0][:-1], *x[1:]]), "client 0 has no x of equal rows"),
    "one row less": (put("0", "x", lambda x: x[1:]), "x of client 0 is int64"),
    "texts": (put("0", "x", lambda x: [[str(v) for v in row] for row in x]), "x of client 0 is <U"),
    "one label less": (put("2", "y", lambda y: y[1:]), "y of client 2 is int64"),
    "labels as fractions": (put("2", "y", lambda y: [v / 2 for v in y]), "y of client 2 is float64"),
    "beyond a byte": (put("0", "x", lambda x: [[v + 256 for v in row] for row in x]), "values that are no uint8"),
    "another pixel": (put("0", "x", lambda x: [[255 - v for v in row] for row in x]), "samples are not those"),
    "a client that is a number": (users(lambda u: u.update({"0": 5})), "client 0 has no x of equal rows"),
}  # fmt: skip


def rows_of(part, change):
    """A Parquet file with its table changed."""

    def do(folder):
        import pyarrow.parquet as parquet

        path = folder / f"{part}.parquet"
        parquet.write_table(change(parquet.read_table(path)), path)

    return do


def column(name, to):
    def change(table):
        place = table.column_names.index(name)
        return table.set_column(place, name, [to(table[name].to_pylist())])

    return change


FLOWER = {
    "no file": (gone("validation.parquet"), "validation.parquet does not exist"),
    "cut": (cut("train.parquet"), "is not readable"),
    "no client": (rows_of("train", lambda t: t.drop_columns(["client"])), "no column 'client'"),
    "no label": (rows_of("train", lambda t: t.drop_columns(["label"])), "no column 'label'"),
    "no image": (rows_of("train", lambda t: t.drop_columns(["image"])), "neither a column image nor x"),
    "another split": (rows_of("train", column("split", lambda v: ["test", *v[1:]])), "rows of another split"),
    "a row less": (rows_of("test", lambda t: t.slice(1)), "client and index are not those"),
    "no row": (rows_of("test", lambda t: t.slice(0, 0)), "rows of another split"),
    "other clients": (rows_of("train", column("client", lambda v: [c + 1 for c in v])), "client and index are not"),
    "another index": (rows_of("train", column("index", lambda v: v[::-1])), "client and index are not those"),
    "clients as texts": (rows_of("train", column("client", lambda v: [str(c) for c in v])), "client is object"),
    "missing indices": (rows_of("train", column("index", lambda v: [None, *v[1:]])), "index is float64"),
    "no pictures": (rows_of("train", column("image", lambda v: [{"bytes": b"x", "path": None}] * len(v))),
                    "is not readable as flower"),
    "no bytes": (rows_of("train", column("image", lambda v: [{"bytes": None, "path": "p"}] * len(v))),
                 "is not readable as flower"),
    "one picture for all": (rows_of("train", column("image", lambda v: [v[0]] * len(v))), "samples are not those"),
    "labels changed": (rows_of("train", column("label", lambda v: v[::-1])), "samples are not those"),
}  # fmt: skip

CASES = [
    pytest.param(form, case, marks=pytest.mark.skipif(form == "flower" and not PARQUET, reason="needs pyarrow"))
    for form, cases in {"pfllib": PFLLIB, "fl-bench": FL_BENCH, "npz": NPZ, "json": JSON, "flower": FLOWER}.items()
    for case in cases
]
OF = {"pfllib": PFLLIB, "fl-bench": FL_BENCH, "npz": NPZ, "json": JSON, "flower": FLOWER}


@pytest.mark.parametrize(("form", "case"), CASES)
def test_broken_exports_are_one_line(exported, tmp_path, form, case, capsys):
    folder = tmp_path / "out"
    shutil.copytree(exported / form, folder)
    change, said = OF[form][case]
    change(folder)
    assert_refused(folder, said)
    assert "harm" not in capsys.readouterr().out


def test_rows_of_parquet_may_stand_in_any_order(exported, tmp_path):
    pytest.importorskip("pyarrow")
    shutil.copytree(exported / "flower", tmp_path / "out")
    rng = np.random.default_rng(0)
    rows_of("train", lambda table: table.take(rng.permutation(len(table))))(tmp_path / "out")
    assert read_split(tmp_path / "out").dataset.sha256 == read_split(exported / "flower").dataset.sha256


NO_IMPORT = {
    "none": (lambda f: ("pfllib", f / "none"), "does not exist; give the folder"),
    "a file": (lambda f: ("pfllib", f / "npz" / "data.npz"), "is no folder"),
    "another form": (lambda f: ("pfllib", f / "npz"), "was exported to 'npz', not to 'pfllib'"),
    "unknown form": (lambda f: ("pflib", f / "npz"), "unknown format 'pflib': did you mean 'pfllib'"),
    "nothing of ours": (lambda f: ("fl-bench", f), "is no export of ours .* of what others wrote: pfllib, json"),
    "nothing of PFLlib's": (lambda f: ("pfllib", f), "needs a folder with train/ and test/"),
    "nothing of LEAF's": (lambda f: ("json", f), "needs a folder with train/ and test/"),
}


@pytest.mark.parametrize("case", NO_IMPORT)
def test_what_cannot_be_imported(exported, tmp_path, case):
    asked, said = NO_IMPORT[case]
    with pytest.raises(RequestError, match=said):
        import_split(*asked(exported), tmp_path / "out")
    assert not (tmp_path / "out").exists()
