"""``parquet:`` on files that are damaged, and on columns that a text file cannot have."""

import datetime
from decimal import Decimal

import pytest

from pfl_bench.data.store import load_dataset

from .broken import assert_refused
from .test_tables import N, frame

pa = pytest.importorskip("pyarrow", reason="pyarrow is an optional extra")
pq = pytest.importorskip("pyarrow.parquet")


def table(**columns):
    """The table of the other tests with some columns changed; row 5 is the first that can be odd."""
    own = {name: pa.array(values.tolist()) for name, values in frame(part=None, when=None).items()}
    return pa.table({**own, **columns})


def from_row_5(usual, odd):
    """A column whose row 5, from 1, is another one."""
    return pa.array([usual] * 4 + [odd] * (N - 4))


def written(path, content, **options):
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        pq.write_table(content, path, **options)
    return path.read_bytes()


def whole(path):
    return written(path, table(), compression="none", write_page_checksum=True, use_dictionary=False)


def flipped(content, old):
    """One bit of a value that is there once, as it lies in the file, is another one."""
    at = content.index(old)
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


DAMAGED = {
    "empty": (lambda path: b"", "is not readable"),
    "cut in the middle": (lambda path: whole(path)[:1000], "is not readable"),
    "cut at the end": (lambda path: whole(path)[:-5], "is not readable"),
    "the end alone": (lambda path: whole(path)[-300:], "is not readable"),
    "a text": (lambda path: frame().to_csv().encode(), "is not readable: .* not a parquet file"),
    "a web page": (lambda path: b"<html>404</html>", "is not readable"),
    "an archive": (lambda path: b"PK\3\4" * 50, "is not readable"),
    "its mark alone": (lambda path: b"PAR1" * 10, "is not readable"),
    "zeros within": (lambda path: whole(path)[:2000] + bytes(2000) + whole(path)[4000:], "is not readable"),
    "a flipped bit": (lambda path: flipped(whole(path), b"\3\0\0\0bee"), "is not readable: .*CRC checksum"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_files_are_one_line(tmp_path, case):
    make, said = DAMAGED[case]
    written(tmp_path / "t.parquet", make(tmp_path / "t.parquet"))
    assert_refused(f"parquet:{tmp_path}/t.parquet?label=animal", rf"t\.parquet {said}", tmp_path / "data")
    assert not (tmp_path / "data").exists(), "nothing is kept"


COLUMNS = {
    "lists": ({"weight": from_row_5(None, [1.0, 2.0])}, "", "'weight', row 5: the entry is several values, array"),
    "named values": (
        {"weight": from_row_5(None, {"kg": 1})},
        "",
        "'weight', row 5: .* several values, .'kg'",
    ),
    "bytes": (
        {"sex": from_row_5(None, b"f")},
        "",
        "'sex', row 5: the entry is bytes, b'f'; a column has a number or a",
    ),
    "classes as lists": ({"animal": from_row_5(["ant"], ["bee"])}, "", "'animal', row 1: the entry is several values"),
    "classes as bytes": ({"animal": from_row_5(b"ant", b"bee")}, "", "'animal', row 1: the entry is bytes, b'ant'"),
    "groups as lists": ({"plot": from_row_5([1], [2])}, "&group=plot", "'plot', row 1: the entry is several values"),
    "order as lists": ({"plot": from_row_5([1], [2])}, "&order=plot", "'plot', row 1: the entry is several values"),
    "no class": ({"animal": from_row_5("ant", None)}, "", "column 'animal': entries missing: 116, the first in row 5"),
    "nothing at all": ({"weight": pa.nulls(N)}, "&missing=mean", "column 'weight' has missing values only"),
    "a gap": ({"legs": from_row_5(4, None)}, "", "column 'legs' has missing values, 116 in all, the first in row 5"),
    "infinite": ({"weight": from_row_5(1.5, float("inf"))}, "", "column 'weight', row 5: the value is infinite"),
    "fractions as classes": ({"animal": from_row_5(Decimal("1.0"), Decimal("2.5"))}, "", "2.5 is no whole number"),
    "days": (
        {"weight": pa.array([datetime.date(2026, 1, 1) + datetime.timedelta(i) for i in range(N)])},
        "",
        "column 'weight' has 120 different texts",
    ),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_columns_that_do_not_fit_are_named(tmp_path, case):
    columns, options, said = COLUMNS[case]
    written(tmp_path / "t.parquet", table(**columns))
    assert_refused(f"parquet:{tmp_path}/t.parquet?label=animal{options}", said, tmp_path / "data")


def test_a_column_that_does_not_fit_can_be_left_out(tmp_path):
    written(tmp_path / "t.parquet", table(weight=from_row_5([1.0], [2.0])))
    assert load_dataset(f"parquet:{tmp_path}/t.parquet?label=animal&drop=weight,sex").input.shape == (2,)


def test_two_columns_of_one_name_are_told(tmp_path):
    own = table()
    pq.write_table(own.append_column("legs", own["plot"]), tmp_path / "t.parquet")
    assert_refused(f"parquet:{tmp_path}/t.parquet?label=animal", "two columns are called 'legs'")
    assert_refused(f"parquet:{tmp_path}?label=animal", "is no file")


def test_decimals_are_numbers(tmp_path):
    numbers = [i % 5 for i in range(N)]
    loaded = []
    for column in (pa.array(map(float, numbers)), pa.array(map(Decimal, numbers))):
        written(tmp_path / "t.parquet", table(legs=column, plot=column))
        loaded.append(load_dataset(f"parquet:{tmp_path}/t.parquet?label=animal&group=plot").sha256)
    assert loaded[0] == loaded[1]
