"""Folders of two machines become one; what clashes is named and stays apart."""

import pytest

from pfl_bench.errors import RequestError
from pfl_bench.results.ledger import Ledger
from pfl_bench.results.merge import merge, pairs
from tests.ledgers import folder_with, full_folder, id_of, record, save


def test_runs_and_partitions_of_two_machines_come_together(tmp_path, cli):
    full_folder(tmp_path / "a" / "s", methods=("fedavg",), seeds=2)
    full_folder(tmp_path / "b" / "s", methods=("local",), seeds=2)
    status, out, _ = cli("results", "merge", "a", "b", "--into", "all")
    assert status == 0 and out.count("2 runs copied") == 2
    whole = tmp_path / "all" / "s"
    assert len(list(whole.glob("runs/*/clients.csv"))) == 4 and len(list(whole.glob("partitions/*.csv"))) == 1
    assert (whole / "leaderboard.csv").read_text().count("\n") == 3
    status, out, _ = cli("results", "merge", "a", "--into", "all")
    assert status == 0 and "0 runs copied" in out and "2 were there already" in out


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"accuracy": 60.0}, "other numbers: accuracy 50"),
        ({"data_sha256": "1" * 64}, "computed on other things: the data"),
        ({"partition_sha256": "2" * 64}, "the split"),
        ({"sources": {"method:mine.py": "3" * 64}}, "the method's source (mine.py)"),
    ],
)
def test_clashes_are_named_and_what_is_there_stays(tmp_path, cli, change, why):
    folder_with(tmp_path / "a", record())
    folder_with(tmp_path / "b", record(**change))
    status, out, _ = cli("results", "merge", "b", "--into", "a")
    assert status == 1 and f"Clash: {id_of(record())}: " in out and why in out
    assert Ledger(tmp_path / "a").record(id_of(record())).official.best["accuracy"] == 50.0


def test_a_finished_run_takes_an_unfinished_one_s_place_and_not_the_other_way_round(tmp_path):
    for name, run in (("done", record()), ("begun", record(status="unfinished"))):
        ledger = Ledger(tmp_path / name)
        with ledger.lock():
            save(ledger, run, checkpoint=b"1")
    begun = tmp_path / "begun"
    assert merge(tmp_path / "done", begun).copied == [id_of(record())] and Ledger(begun).is_final(id_of(record()))
    ledger = Ledger(tmp_path / "third")
    with ledger.lock():
        save(ledger, record(status="unfinished"), checkpoint=b"1")
    assert merge(tmp_path / "third", begun).known == [id_of(record())] and Ledger(begun).is_final(id_of(record()))


def test_damaged_runs_are_left_out(tmp_path, cli):
    folder_with(tmp_path / "a", record())
    (tmp_path / "a" / "runs" / id_of(record()) / "run.json").write_text("{")
    folder_with(tmp_path / "c", record("local"))
    status, out, _ = cli("results", "merge", "a", "--into", "c")
    assert status == 1 and "Left out (1)" in out


def test_wrong_requests(tmp_path, cli):
    full_folder(tmp_path / "a" / "s", seeds=1)
    for sources, into, said in (
        (["none"], "x", "is no results folder"),
        (["a", "a/s"], "x", "not both"),
        (["a"], "a", "would go into itself"),
    ):
        status, _, err = cli("results", "merge", *sources, "--into", into)
        assert status == 2 and said in err
    assert not (tmp_path / "x").exists()
    with pytest.raises(RequestError, match="into itself"):
        pairs([tmp_path / "a" / "s"], tmp_path / "a" / "s")
