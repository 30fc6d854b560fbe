"""``hf:`` on tables as the hub's library gives them, and on Parquet files where pyarrow is installed."""

import importlib.util
import io
import sys
import types

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pfl_bench.data.store import load_dataset
from pfl_bench.errors import RequestError

from .broken import assert_refused

RNG = np.random.default_rng(0)


def png(i, size=(5, 4)):
    stream = io.BytesIO()
    Image.new("L", size, i).save(stream, "png")
    return {"bytes": stream.getvalue(), "path": None}


def frame(n=30, **changes):
    columns = {
        "label": np.arange(n) % 3, "user": [f"u{i % 4}" for i in range(n)],
        "text": [f"word{i % 3} and so on" for i in range(n)],
        "image": [png(i) for i in range(n)], "row": list(RNG.normal(size=(n, 6))), "a": RNG.normal(size=n),
        "b": np.arange(n),
    }  # fmt: skip
    return pd.DataFrame({**columns, **changes})


class Part:
    def __init__(self, table):
        self.table = table

    def to_pandas(self):
        return self.table


@pytest.fixture
def hub(monkeypatch):
    """A hub with one data set; ``hub.parts`` are its tables, ``hub.asked`` what was asked of it."""
    hub = types.SimpleNamespace(parts={"train": frame(), "test": frame(12)}, asked=[])
    library, client = types.ModuleType("datasets"), types.ModuleType("huggingface_hub")

    def load(name, config, revision):
        hub.asked.append((name, config, revision))
        return {part: Part(table) for part, table in hub.parts.items()}

    class Api:
        def dataset_info(self, name, revision):
            return types.SimpleNamespace(sha={None: "c0ffee", "v1": "beef"}[revision])

    library.load_dataset, client.HfApi = load, Api
    monkeypatch.setitem(sys.modules, "datasets", library)
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    return hub


@pytest.mark.parametrize(
    ("inputs", "kind", "shape"),
    [("image", "image", (1, 4, 5)), ("image&size=3", "image", (1, 3, 3)),
     ("row", "table", (6,)), ("a,b", "table", (2,)),
     ("b", "table", (1,)), ("text&length=5&vocabulary=9", "tokens", (5,))],
)  # fmt: skip
def test_columns_become_inputs_by_what_they_hold(hub, tmp_path, inputs, kind, shape):
    dataset = load_dataset(f"hf:me/mine?label=label&inputs={inputs}&group=user", tmp_path)
    assert (dataset.input.kind, dataset.input.shape, dataset.classes) == (kind, shape, 3)
    assert set(dataset.train_groups) == set(range(4)) and len(dataset.test_labels) == 12


def test_the_revision_is_resolved_kept_and_told(hub, tmp_path):
    spec = "hf:me/mine?label=label&inputs=a,b"
    assert "revision c0ffee" in load_dataset(spec, tmp_path).notes
    assert "revision c0ffee" in load_dataset(spec, tmp_path, download=False).notes, "kept in the data directory"
    assert "revision beef" in load_dataset(f"{spec}&revision=v1&config=small", tmp_path).notes
    assert hub.asked == [("me/mine", None, "c0ffee"), ("me/mine", "small", "beef")]


def test_parts_of_the_hub_are_the_parts(hub, tmp_path):
    hub.parts["validation"] = frame(6)
    dataset = load_dataset("hf:me/mine?label=label&inputs=row", tmp_path)
    assert dataset.validation.sum() == 6 and len(dataset.train_labels) == 36
    del hub.parts["test"]
    assert len(load_dataset("hf:me/other?label=label&inputs=row", tmp_path).test_labels) == 6
    del hub.parts["validation"]
    assert len(load_dataset("hf:me/third?label=label&inputs=row", tmp_path).test_labels) == 6, "a fifth of every class"


WRONG = {
    "no such label": ({}, "?label=x&inputs=a", "label='x' is no column of train; there are 'label'"),
    "no such input": ({}, "?label=label&inputs=a,x", "inputs='x' is no column"),
    "fractions": ({}, "?label=a&inputs=b", "is no whole number"),
    "missing labels": ({"label": [None] * 5 + [1] * 25}, "?label=label&inputs=a", "has missing entries"),
    "ragged rows": ({"row": [[1.0]] * 5 + [[1.0, 2.0]] * 25}, "?label=label&inputs=row", "of one length|have shape"),
    "texts with gaps": ({"text": ["a"] * 29 + [None]}, "?label=label&inputs=text", "entries that are no texts"),
    "damaged picture": (
        {"image": [png(1)] * 29 + [{"bytes": b"x"}]},
        "?label=label&inputs=image",
        "entry 29 is no readable",
    ),
    "other sizes": ({"image": [png(1)] * 29 + [png(1, (9, 9))]}, "?label=label&inputs=image", "differ in size"),
    "text among numbers": ({}, "?label=label&inputs=a,text", "column 'text' of train is no number"),
    "no picture": ({"image": [png(1)] * 29 + [None]}, "?label=label&inputs=image", "entry 29 is no readable"),
    "size of rows": ({}, "?label=label&inputs=row&size=3", "size='3' has no meaning for samples that are no pictures"),
    "words of pictures": (
        {},
        "?label=label&inputs=image&length=3",
        "length='3' has no meaning for samples that are no",
    ),
    "vocabulary of rows": ({}, "?label=label&inputs=a&vocabulary=9", "vocabulary='9' has no meaning for samples that"),
    "missing numbers": ({"a": [np.nan] * 30}, "?label=label&inputs=a,b", "has missing values"),
}


@pytest.mark.parametrize("case", WRONG)
def test_tables_that_do_not_fit_are_one_line(hub, tmp_path, case):
    changes, request, said = WRONG[case]
    hub.parts["train"] = frame(**changes)
    with pytest.raises(RequestError, match=said) as refused:
        load_dataset(f"hf:me/mine{request}", tmp_path)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 500
    assert not list(tmp_path.iterdir()), "nothing is kept"


@pytest.mark.parametrize(
    ("argument", "said"),
    [("", "is no name of the hub"), ("../x?label=a&inputs=b", "is no name"), ("me/mine", "say which columns"),
     ("me/mine?label=x", r"inputs is missing"), ("me/mine?label=x&inputs=y&colour=z", "option 'colour=z'"),
     ("me/mine?label=x&inputs=y,x", "label and inputs both name the column .x."),
     ("me/mine?label=x&inputs=y&vocabulary=2", "more than 2"), ("me/mine?label=x&inputs=y&size=0", "size='0'")],
)  # fmt: skip
def test_wrong_requests(tmp_path, argument, said):
    assert_refused(f"hf:{argument}", said, tmp_path)


def test_a_library_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(RequestError, match=r"it needs datasets: pip install 'pfl-bench\[hf\]'"):
        load_dataset("hf:me/mine?label=x&inputs=y", tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is an optional extra")
def test_files_in_the_data_directory_are_taken_instead(tmp_path):
    folder = tmp_path / "hf" / "me--mine"
    folder.mkdir(parents=True)
    for part, n in (("train", 30), ("test", 12)):
        frame(n).drop(columns="image").to_parquet(folder / f"{part}-00000-of-00001.parquet")
    dataset = load_dataset("hf:me/mine?label=label&inputs=row", tmp_path, download=False)
    assert len(dataset.train_labels) == 30 and "read from the files in" in dataset.notes[0]
    spec = "hf:me/mine?label=label&inputs=row"
    assert_refused(f"{spec}&revision=v1", "revision='v1' has no meaning for files in the data directory", tmp_path)
    frame(24).drop(columns="image").to_parquet(folder / "train-00000-of-00001.parquet")
    assert len(load_dataset(spec, tmp_path, download=False).train_labels) == 24, "the file is read anew"
    (folder / "train-00000-of-00001.parquet").write_bytes(b"PAR1")
    assert_refused("hf:me/mine?label=label&inputs=a,b", "train-00000-of-00001.parquet is not readable", tmp_path)
    (folder / "x.parquet").write_bytes(b"")
    (folder / "train-00000-of-00001.parquet").unlink()
    assert_refused("hf:me/mine?label=label&inputs=a,b", r"x\.parquet is of no part", tmp_path)
