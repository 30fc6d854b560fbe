"""Every form gives back the same arrays, the same partition and the same hashes."""

import importlib.util
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfl_bench.data.doors import FORMATS, export_split, make_split, read_split
from pfl_bench.data.doors.split import arrays_of, data_hash, held
from pfl_bench.data.outside import outside_package
from pfl_bench.data.partition import SPLITS, Partition
from pfl_bench.data.store import load_dataset
from pfl_bench.errors import RequestError
from pfl_bench.spec.scenario import read_scenario

from .splits import SHAPES, TABLE, made

PARQUET = importlib.util.find_spec("pyarrow") is not None
needs_parquet = pytest.mark.skipif(not PARQUET, reason="pip install 'pfl-bench[flower]'")
FORMS = [pytest.param(form, marks=needs_parquet) if form == "flower" else form for form in FORMATS]
HERE = [form for form in FORMATS if form != "flower" or PARQUET]


def assert_same(found, split):
    assert found.partition.sha256() == split.partition.sha256() and found.partition.novel == split.partition.novel
    assert found.dataset.sha256 == split.dataset.sha256 and data_hash(found.dataset) == data_hash(split.dataset)
    assert found.dataset.facts == split.dataset.facts and found.dataset.input == split.dataset.input
    own, theirs = arrays_of(found.dataset), arrays_of(split.dataset)
    assert own.keys() == theirs.keys()
    for name, array in theirs.items():
        assert own[name].dtype == array.dtype
        np.testing.assert_array_equal(own[name], array)
    assert (found.scenario, found.seed) == (dict(split.scenario), split.seed)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", SHAPES)
def test_every_kind_of_data(form, kind, tmp_path):
    split = made(kind, groups=kind == "table", validation=kind == "series", novel=int(kind == "rgb"))
    export_split(split, form, tmp_path / "out")
    assert_same(read_split(tmp_path / "out"), split)
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "nothing is left beside it"


@given(seed=st.integers(0, 10**6), form=st.sampled_from(HERE), kind=st.sampled_from(list(SHAPES)), more=st.booleans())
@settings(max_examples=25, deadline=None)
def test_any_split(tmp_path_factory, seed, form, kind, more):
    split = made(kind, seed, groups=more, validation=more, novel=seed % 3)
    out = tmp_path_factory.mktemp("any") / "out"
    export_split(split, form, out)
    assert_same(read_split(out), split)


@pytest.mark.parametrize("form", FORMS)
def test_shifted_samples_are_those_the_clients_see(form, tmp_path):
    table = {**TABLE, "dataset": "digits", "partition": {"rule": "classes", "classes": 2}, "clients": 6,
             "shift": [{"rule": "rotation", "groups": 2}, {"rule": "permutation", "groups": 3}]}  # fmt: skip
    split, plain = (make_split(read_scenario({**table, **more}, "here"), 1) for more in ({}, {"shift": []}))
    export_split(split, form, tmp_path / "out")
    found = read_split(tmp_path / "out")
    assert found.partition.sha256() == split.partition.sha256() != plain.partition.sha256()
    assert found.dataset.sha256 == data_hash(split.dataset) != plain.dataset.sha256, "no run takes it for the source"
    np.testing.assert_array_equal(found.dataset.train_inputs, split.dataset.train_inputs)
    np.testing.assert_array_equal(found.dataset.test_labels, split.dataset.test_labels)


def test_pfllibs_folder_is_as_its_reader_reads_it(tmp_path):
    """``read_data`` of PFLlib: ``np.load(...)["data"].tolist()``, a dictionary of x and y; then float32 tensors."""
    split = made("rgb", novel=1)
    notes = export_split(split, "pfllib", tmp_path / "out")
    assert "-ncl 4 -nc 2 -nnc 1" in notes[0]
    for part, clients in held(split).items():
        for client, (inputs, labels) in enumerate(clients):
            with (tmp_path / "out" / part / f"{client}.npz").open("rb") as file:
                data = np.load(file, allow_pickle=True)["data"].tolist()
            assert data["x"].dtype == np.float32 and data["y"].dtype == np.int64
            np.testing.assert_array_equal(data["y"], labels)
            np.testing.assert_allclose(data["x"], inputs.transpose(0, 3, 1, 2) / 127.5 - 1, atol=1e-6)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["num_clients"] == 3 and config["num_classes"] == 4


def test_every_byte_of_an_image_survives_pfllibs_scale(tmp_path):
    split = made("grey")
    pixels = np.arange(256, dtype=np.uint8)
    split.dataset.train_inputs.reshape(-1)[: 3 * 256] = np.tile(pixels, 3)
    export_split(split, "pfllib", tmp_path / "out")
    np.testing.assert_array_equal(read_split(tmp_path / "out").dataset.train_inputs, split.dataset.train_inputs)


def test_our_own_sources_read_the_folders_too(tmp_path):
    split = made("rgb")
    for form, source in (("pfllib", "pfllib:{}"), ("npz", "npz:{}/data.npz"), ("json", "leaf:{}")):
        export_split(split, form, tmp_path / form)
        found = load_dataset(source.format(tmp_path / form))
        held_by_clients = sum(len(own) for own in split.partition.train + split.partition.validation)
        all_of_it = len(split.dataset.train_labels)
        expected = {"pfllib": held_by_clients, "npz": all_of_it, "json": held_by_clients - 12}[form]
        assert len(found.train_labels) == expected
    assert load_dataset(f"npz:{tmp_path / 'npz' / 'data.npz'}").sha256 == split.dataset.sha256
    assert Partition.load(tmp_path / "npz" / "partition.npz").sha256() == split.partition.sha256()
    pfllib = load_dataset(f"pfllib:{tmp_path / 'pfllib'}")
    assert pfllib.validation.sum() == sum(len(own) for own in split.partition.validation), "validation/ is read as such"
    assert load_dataset(f"exported:{tmp_path / 'pfllib'}").sha256 == split.dataset.sha256


def test_fl_benchs_folder_is_as_its_loader_reads_it(tmp_path):
    split = made("rgb", novel=1)
    notes = export_split(split, "fl-bench", tmp_path / "out")
    data, targets = (np.load(tmp_path / "out" / name) for name in ("data.npy", "targets.npy"))
    partition = pickle.loads((tmp_path / "out" / "partition.pkl").read_bytes())
    assert partition["separation"] == {"train": [0, 1], "val": [0, 1], "test": [0, 1], "total": 3}
    assert any("novel" in note for note in notes)
    for part, name in (("train", "train"), ("validation", "val"), ("test", "test")):
        for client, (inputs, labels) in enumerate(held(split)[part]):
            rows = partition["data_indices"][client][name]
            np.testing.assert_array_equal(data[rows], inputs.transpose(0, 3, 1, 2))
            np.testing.assert_array_equal(targets[rows], labels)
    arguments = json.loads((tmp_path / "out" / "args.json").read_text())
    assert arguments["client_num"] == 3 and arguments["class_num"] == 4 and arguments["dimension"] == 60


@needs_parquet
@pytest.mark.skipif(importlib.util.find_spec("flwr_datasets") is None, reason="pip install 'pfl-bench[flower]'")
@pytest.mark.parametrize("kind", ["rgb", "series"])
def test_flwr_datasets_partitions_it_by_client(tmp_path, kind, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    flwr = outside_package("flwr_datasets", "flower")
    by_client = outside_package("flwr_datasets.partitioner", "flower").NaturalIdPartitioner
    split = made(kind)
    assert f"FederatedDataset(dataset='{tmp_path / 'out'}'" in export_split(split, "flower", tmp_path / "out")[0]
    partitioners = {part: by_client("client") for part in SPLITS}
    federated = flwr.FederatedDataset(
        dataset=str(tmp_path / "out"), partitioners=partitioners, cache_dir=str(tmp_path / "cache")
    )
    for part in SPLITS:
        for client, (inputs, labels) in enumerate(held(split)[part]):
            own = federated.load_partition(client, part).sort("index")
            assert set(own["client"]) == {client} and set(own["split"]) == {part}
            order = np.argsort(getattr(split.partition, part)[client])  # the library shuffles, so both are sorted
            assert list(own["label"]) == labels[order].tolist()
            column = own["image" if kind == "rgb" else "x"]
            np.testing.assert_array_equal(np.stack([np.asarray(value) for value in column]), inputs[order])
        assert partitioners[part].num_partitions == 3


def test_what_is_there_stays(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(RequestError, match="is there already"):
        export_split(made(), "npz", tmp_path / "out")
    with pytest.raises(RequestError, match="unknown format 'flwr': did you mean 'flower'"):
        export_split(made(), "flwr", tmp_path / "new")
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_an_export_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pfl_bench.data.doors.npz.write_npz", full)
    with pytest.raises(RequestError, match="could not be written: .*No space"):
        export_split(made(), "npz", tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("scenario", "seed", "said"),
    [("digits-classes2-n20-v9", 0, "unknown scenario"), ("digits-classes2-n20-v2", -1, "seed=-1 must be 0 or more")],
)
def test_wrong_requests_for_a_split(scenario, seed, said):
    with pytest.raises(RequestError, match=said):
        make_split(scenario, seed)
