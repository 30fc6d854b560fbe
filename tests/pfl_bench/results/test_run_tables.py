import os

import numpy as np
import pandas as pd
import pytest

from pfl_bench.errors import RequestError
from pfl_bench.results.files import Unreadable
from pfl_bench.results.frame import read_runs
from pfl_bench.results.ledger import Ledger
from pfl_bench.results.run_tables import complete, read_history, read_partition, read_table, read_trials
from tests.ledgers import full_folder, history_rows, id_of, record, save

R1, R2 = (id_of(record(seed=seed)) for seed in (1, 2))


@pytest.fixture
def folder(tmp_path):
    """Three runs whose vectors differ in length; the first has none."""
    ledger = Ledger(tmp_path)
    with ledger.lock():
        for seed, width in enumerate((0, 3, 2)):
            vectors = [{"client": c, **{f"v{k}": c + 0.5 * k for k in range(width)}} for c in range(2)]
            save(ledger, record(seed=seed), tables={"vectors": vectors} if width else {})
    return tmp_path


def test_all_columns_of_tables_that_differ(folder):
    table, problems = read_table(folder, read_runs(folder), "vectors", ("client",), every=True)
    assert not problems and table["run_id"].tolist() == [R1, R1, R2, R2], "in the order of the runs"
    assert table.columns[:2].tolist() == ["client", "v0"] and table["seed"].tolist() == [1, 1, 2, 2]
    assert table["v2"].isna().tolist() == [False, False, True, True]


def test_only_the_columns_asked_for_and_only_numbers_in_them(folder):
    (folder / "runs" / R1 / "vectors.csv").write_text("client,v0,v1\n0,inf,x\n1,2,y\n")
    table, problems = read_table(folder, read_runs(folder), "vectors", ("v0",), ("client",))
    assert not problems and "v1" not in table
    assert np.array_equal(table["v0"], [np.nan, 2, 0, 1], equal_nan=True)


def test_history_is_that_of_the_official_moment(tmp_path):
    rows = history_rows(50.0)
    other = [{**row, "moment": "received", "accuracy": 99.0} for row in rows]
    ledger = Ledger(tmp_path)
    with ledger.lock():
        save(ledger, record(), history=[*rows, *other])
    history = complete(read_history(tmp_path, read_runs(tmp_path)))
    assert len(history) == len(rows) and history["accuracy"].max() == 50.0


def test_where_nothing_may_be_left_out_the_first_problem_is_refused(folder):
    (folder / "runs" / R2 / "vectors.csv").write_text("client\n0,1,2\n")
    found = read_table(folder, read_runs(folder), "vectors", ("client",), every=True)
    with pytest.raises(RequestError, match=rf"^runs/{R2}/vectors\.csv: its rows do not fit its header$"):
        complete(found)


def test_a_partition_with_its_groups(tmp_path):
    folder = full_folder(tmp_path, seeds=1, clients=2)
    rows = read_partition(folder, f"{0:064x}")
    assert rows.columns.tolist() == ["client", "novel", "label", "train", "test", "group"] and len(rows) == 6
    assert read_partition(folder, "../../etc") is None and read_partition(folder, "f" * 64) is None
    place = folder / "partitions" / f"{0:012x}.csv"
    pd.read_csv(place).assign(group="north").to_csv(place, index=False)
    assert set(read_partition(folder, f"{0:064x}")["group"]) == {"north"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and devices")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("arguments", [["analyse", "board"], ["analyse", "transfer"], ["tune", "quick", "--known"]])
def test_trials_that_never_end_or_never_begin_are_not_read(cli, tmp_path, kind, arguments):
    place = tmp_path / "f" / "tuning.csv"
    full_folder(tmp_path / "f", seeds=2)
    {"pipe": os.mkfifo, "device": lambda p: p.symlink_to("/dev/zero"), "folder": lambda p: p.mkdir()}[kind](place)
    with pytest.raises(Unreadable, match="tuning.csv is no regular file"):
        read_trials(place)
    named = place if arguments[0] == "tune" else place.parent
    status, _, err = cli(*arguments, str(named), *(["--methods", "fedavg"] if arguments[0] == "tune" else []))
    assert (status, err.count("\n")) == ((0, 0) if arguments == ["analyse", "board"] else (2, 1)), err
