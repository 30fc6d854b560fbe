import importlib.util

import numpy as np
import pandas as pd
import pytest
from pfl_bench.datasets.parquet import with_index

from pfl_bench.data.partition import make_partition
from pfl_bench.data.store import load_dataset
from pfl_bench.errors import RequestError

from .broken import assert_refused

N = 120


def frame(**changes):
    rng = np.random.default_rng(0)
    kind = np.arange(N) % 3
    columns = {
        "weight": rng.normal(10, 2, N) + 3 * kind,
        "legs": rng.integers(2, 9, N),
        "sex": np.where(rng.random(N) < 0.5, "f", "m"),
        "animal": np.asarray(["ant", "bee", "cat"])[kind],
        "plot": np.arange(N) % 4 * 10,
        "when": rng.permutation(N),
        "part": np.asarray(["train", "train", "val", "test", "train"])[np.arange(N) % 5],
    }
    return pd.DataFrame({**columns, **changes}).drop(columns=[c for c, v in changes.items() if v is None])


def written(tmp_path, table=None, **options):
    path = tmp_path / "t.csv"
    (frame() if table is None else table).to_csv(path, index=False)
    return f"csv:{path}?" + "&".join(f"{key}={value}" for key, value in {"label": "animal", **options}.items())


def test_named_columns_become_features_labels_groups_and_parts(tmp_path):
    dataset = load_dataset(written(tmp_path, group="plot", split="part", drop="when"))
    assert dataset.input.shape == (4,) and dataset.classes == 3, "weight, legs, and sex as two"
    assert dataset.validation is not None and dataset.validation.sum() == N // 5 and len(dataset.test_labels) == N // 5
    assert set(dataset.train_groups) == {0, 1, 2, 3}
    assert any("3 names are numbered in their order: 'ant', 'bee', 'cat'" in note for note in dataset.notes)
    assert "column 'sex' becomes 2 features, one for each of its texts" in dataset.notes
    own = frame()
    rows = own[own.part == "train"]
    np.testing.assert_allclose(dataset.train_inputs[: len(rows), 0], rows.weight, rtol=1e-6)
    assert dataset.mean[0] == pytest.approx(rows.weight.mean(), rel=1e-5), "validation is not measured"


def test_the_split_that_the_file_names_is_the_one_that_is_used(tmp_path):
    dataset = load_dataset(written(tmp_path, group="plot", split="part"))
    for rule, clients in (("natural", 4), ("iid", 3)):
        partition = make_partition(rule, {}, dataset, clients, 1)
        found = np.sort(np.concatenate(partition.validation))
        assert np.array_equal(found, np.flatnonzero(dataset.validation))


def test_without_a_split_every_group_holds_out_its_own(tmp_path):
    dataset = load_dataset(written(tmp_path, group="plot", drop="part"))
    assert dataset.validation is None and dataset.held_out_within == "groups"
    assert np.bincount(dataset.test_groups).tolist() == [6] * 4
    first, second = (make_partition("natural", {}, dataset, 4, seed) for seed in (0, 1))
    assert [len(own) for own in first.validation] == [5] * 4 and first.sha256() != second.sha256()
    assert any("20% of every group is held out to test" in note for note in dataset.notes)


def test_rows_in_order_hold_out_their_last(tmp_path):
    dataset = load_dataset(written(tmp_path, group="plot", order="when", drop="part,sex"))
    assert dataset.validation.sum() == 20
    own = frame().sort_values("when")
    for group, plot in enumerate((0, 10, 20, 30)):
        mine = own[own["plot"] == plot].weight.to_numpy()
        tested = dataset.test_inputs[dataset.test_groups == group][:, 0]
        np.testing.assert_allclose(tested, mine[-6:], rtol=1e-6)
        held = dataset.train_inputs[dataset.validation & (dataset.train_groups == group)][:, 0]
        np.testing.assert_allclose(held, mine[-11:-6], rtol=1e-6)


def test_what_is_missing_is_filled_if_asked(tmp_path):
    weight = frame().weight.where(np.arange(N) % 7 > 0)
    sex = frame().sex.where(np.arange(N) > 3)
    dataset = load_dataset(written(tmp_path, frame(weight=weight, sex=sex), split="part", missing="mean"))
    assert any("26 missing values in 3 features are filled" in note for note in dataset.notes)
    assert np.isfinite(dataset.train_inputs).all()


def test_other_separators_and_names_with_odd_characters(tmp_path):
    table = frame().rename(columns={"animal": "an&imal=?"})
    table.to_csv(tmp_path / "t.csv", index=False, sep=";")
    dataset = load_dataset(f"csv:{tmp_path}/t.csv?label=an%26imal%3D%3F&separator=;&split=part")
    assert dataset.classes == 3


def test_utf_16_is_read(tmp_path):
    right = load_dataset(written(tmp_path, split="part"))
    frame().to_csv(tmp_path / "t.csv", index=False, encoding="utf-16")
    assert load_dataset(f"csv:{tmp_path}/t.csv?label=animal&split=part").sha256 == right.sha256


def test_a_column_without_a_name_is_no_feature_unless_asked_for(tmp_path):
    right = load_dataset(written(tmp_path, split="part"))
    for again in (False, True):
        table = pd.read_csv(tmp_path / "t.csv") if again else frame()
        table.to_csv(tmp_path / "t.csv")
        spec = f"csv:{tmp_path}/t.csv?label=animal&split=part"
        first = "Unnamed: 0.1" if again else "Unnamed: 0"
        drop = "Unnamed: 0.1,Unnamed: 0" if again else "Unnamed: 0"
        assert_refused(spec, f"column 1 has no name \\('{first}'\\).* add drop={drop} to the request")
        assert load_dataset(f"{spec}&drop={drop}").sha256 == right.sha256
    assert load_dataset(f"{spec}&features=Unnamed: 0,weight").input.shape == (2,)
    for name in ("__index_level_0__", "Unnamed: 3_level_1"):
        assert_refused(written(tmp_path, frame().rename(columns={"legs": name}), split="part"), f"drop={name} to the")


def test_groups_that_the_split_leaves_without_a_test_sample_are_named(tmp_path):
    who = np.where(frame().part == "test", "eve", "joe")
    notes = load_dataset(written(tmp_path, frame(plot=who), group="plot", split="part")).notes
    assert "1 of 2 groups has no test sample: 'joe'" in notes
    assert "1 of 2 groups has test samples only: 'eve'" in notes
    assert "group column 'plot': 2 names are numbered in their order: 'eve', 'joe'" in notes, "who prints says whose"


def replaced(column, row, text, where=None):
    """The text of a file with one entry of it changed, or all of a column by a function."""
    table = frame().astype({column: object})
    table.loc[row, column] = text
    if where is not None:
        table[column] = table[column].astype(str).map(where)
    return table.to_csv(index=False, sep=";" if where else ",")


TEXTS_AMONG_NUMBERS = {
    "question mark": (replaced("weight", 5, "?"), "column 'weight', line 7: '[?]' is no number, and 119 of 120 "),
    "few values": (replaced("legs", 5, "?"), "column 'legs', line 7: '[?]' is no number"),
    "comma": (replaced("weight", 8, "1,5"), "line 10: '1,5' is no number.*decimals with a point, as in 1.5"),
    "commas": (replaced("weight", 0, 0.5, lambda text: text.replace(".", ",")), "line 2: '0,5' is no number, and 0 of"),
    "infinite": (replaced("weight", 3, "inf"), "column 'weight', line 5: the value is infinite"),
    "empty": (replaced("weight", 3, ""), "column 'weight' has missing values, 1 in all, the first in line 5"),
    "no class": (replaced("animal", 4, ""), "column 'animal': entries missing: 1, the first in line 6"),
    "after an empty line": (replaced("weight", 5, "?").replace("\n", "\n\n", 2), "line 9: '[?]' is no number"),
    "after a long text": (replaced("weight", 5, "?").replace(",f,", ',"f\nf",', 1), "line 8: '[?]' is no number"),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS_AMONG_NUMBERS)
def test_what_is_no_number_is_named_with_column_value_and_line(tmp_path, case):
    content, said = TEXTS_AMONG_NUMBERS[case]
    (tmp_path / "t.csv").write_text(content)
    assert_refused(f"csv:{tmp_path}/t.csv?label=animal&separator={';' if case == 'commas' else ','}", said)


def test_a_column_of_which_most_are_texts_is_a_category(tmp_path):
    code = np.asarray(["1", "a", "b"])[np.arange(N) % 3]
    assert (
        "column 'sex' becomes 3 features, one for each of its texts"
        in load_dataset(written(tmp_path, frame(sex=code))).notes
    )


CSV = [
    ({"label": "beast"}, None, "label='beast' is no column; there are 'weight', 'legs'"),
    ({"colour": "red"}, None, "option 'colour=red' must be one of label="),
    ({"label": ""}, None, "option 'label=' must be one of"),
    ({"features": "weight,wings"}, None, "features='wings' is no column"),
    ({"features": "weight,animal"}, None, "'animal' is a feature and something else"),
    ({"drop": "weight,legs,sex,plot,when,part"}, None, "no column is left to be a feature"),
    ({"group": "animal"}, None, "label and group both name the column 'animal'; each is another one"),
    ({"group": "plot", "order": "plot"}, None, "group and order both name the column 'plot'"),
    ({"split": "sex"}, None, "'f' names no part; parts are train"),
    ({"separator": ";;"}, None, "separator=';;' must be one character"),
    ({"missing": "zero"}, None, "missing='zero' must be mean"),
    ({}, {"weight": np.nan}, "has missing values"),
    ({}, {"animal": [None] * 5 + ["cat"] * (N - 5)}, "column 'animal': entries missing: 5"),
    ({}, {"animal": np.arange(N) / 7}, "is no whole number; classes and groups are numbers or names"),
    ({}, {"sex": [f"name {i}" for i in range(N)]}, "column 'sex' has 120 different texts"),
    ({}, {"weight": np.arange(N) * 1e300}, "beyond float32"),
    ({"split": "part"}, {"part": ["train"] * N}, "no sample is of the part 'test'"),
    ({"split": "part", "order": "when"}, None, "order='when' has no meaning beside split=: .* drop=when"),
    ({"features": "weight", "drop": "legs"}, None, "drop='legs' has no meaning beside features="),
    ({"order": "when"}, {"when": [None, *range(N - 1)]}, "column 'when': entries missing: 1, the first in line 2"),
    ({"group": "when"}, None, "no group has two samples, so that none can be held out to test"),
]


@pytest.mark.parametrize(("options", "columns", "said"), CSV)
def test_requests_and_tables_that_do_not_fit_are_named(tmp_path, options, columns, said):
    assert_refused(written(tmp_path, frame(**(columns or {})), **options), said)


BROKEN = {
    "empty": (b"", "not readable as a table"),
    "latin": ("h\u00f6he,b,label\n1,2,x\n".encode("latin-1"), "it is no UTF-8 text .*save it as CSV in UTF-8"),
    "header only": (b"a,b,label\n", "there is no sample"),
    "binary": (bytes(range(256)) * 9, "not readable as a table"),
    "longer rows": (b"a,b,label\n1,2,x\n1,2,3,y\n" * 9, "not readable as a table"),
    "all rows longer": (b"a,label\n1,x,3\n2,y,4\n", "more fields than the first line|not readable"),
    "one column": (b"a;b;label\n1;2;x\n2;3;y\n", "there is one column, 'a;b;label'|no column"),
    "two of a name": (b"a,a,label\n1,2,x\n1,2,y\n", "two columns are called 'a'"),
    "open quote": (b'a,b,label\n1,"2,x\n3,4,y\n', "not readable as a table"),
    "words for numbers": (b"a,label\n" + b"".join(b"n%d,x\n" % i for i in range(40)), "40 different texts"),
    "no such file": (None, "does not exist"),
    "an empty column": (b"a,b,label\n,1,x\n,2,y\n", "column 'a' has missing values only, and no other; .* drop=a"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_tables_are_one_line(tmp_path, case):
    content, said = BROKEN[case]
    if content is not None:
        (tmp_path / "t.csv").write_bytes(content)
    assert_refused(f"csv:{tmp_path}/t.csv?label=label", said)


def test_a_table_without_a_label_column_in_the_request(tmp_path):
    written(tmp_path)
    assert_refused(f"csv:{tmp_path}/t.csv", r"say which column has the classes: csv:.*\?label=COLUMN")
    assert_refused("csv", "needs a path")
    assert_refused(f"csv:{tmp_path}?label=x", "is no file")
    assert_refused(f"csv:{tmp_path}/t.csv?label=animal&label=sex", "option 'label' is given twice")


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is an optional extra")
def test_parquet_is_the_table_that_csv_is(tmp_path):
    spec = written(tmp_path, group="plot", split="part")
    frame().to_parquet(tmp_path / "t.parquet")
    other = load_dataset(spec.replace("csv:", "parquet:").replace("t.csv", "t.parquet"))
    assert other.sha256 == load_dataset(spec).sha256
    frame().set_index("plot").to_parquet(tmp_path / "t.parquet")
    named = load_dataset(f"parquet:{tmp_path}/t.parquet?label=animal&group=plot&split=part")
    assert set(named.train_groups) == {0, 1, 2, 3}, "an index with a name is a column"
    frame().sample(frac=1, random_state=0).to_parquet(tmp_path / "t.parquet")
    assert any("index of the table" in n for n in load_dataset(f"parquet:{tmp_path}/t.parquet?label=animal").notes)


def test_an_index_with_a_name_is_a_column_and_another_one_is_told():
    rows, said = with_index(frame())
    assert rows.equals(frame()) and said == []
    rows, said = with_index(frame().set_index("plot"))
    assert list(rows.index) == list(range(N)) and list(rows["plot"]) == list(frame()["plot"]) and said == []
    rows, said = with_index(frame().iloc[::-1].set_axis(list(range(N))))
    assert (
        "plot" in rows
        and "index" not in rows
        and said == ["the index of the table, or a part of it, has no name and is no feature"]
    )
    rows, said = with_index(frame().set_index(["plot", frame().index]))
    assert rows["plot"].tolist() == frame()["plot"].tolist() and len(said) == 1 and list(rows.index) == list(range(N))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "t.parquet").write_bytes(b"x")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"needs pyarrow; pip install 'pfl-bench\[parquet\]'"):
        load_dataset(f"parquet:{tmp_path}/t.parquet?label=x")
