"""Folders of two machines become one; what clashes is named and stays apart."""

import os

import pytest

from pfl_bench.errors import RequestError
from pfl_bench.results.ledger import Ledger
from pfl_bench.results.merge import merge, pairs
from tests.ledgers import COSTS, client_rows, folder_with, full_folder, id_of, record, save


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


RUN = id_of(record())


@pytest.fixture
def two(tmp_path):
    folder_with(tmp_path / "a", record())
    folder_with(tmp_path / "b", record("local"))
    return tmp_path


def a_link(two):
    (two / "a" / "runs" / RUN / "more").symlink_to("/dev/zero")


def a_pipe(two):
    os.mkfifo(two / "a" / "runs" / RUN / "more")


def a_folder(two):
    (two / "a" / "runs" / RUN / "more").mkdir()


@pytest.mark.parametrize("stray", [a_link, a_pipe, a_folder])
def test_only_regular_files_are_copied(two, cli, stray):
    stray(two)
    status, out, _ = cli("results", "merge", "a", "--into", "b")
    assert status == 1 and "1 run copied" in out and f"{RUN}/more: it is no regular file; the rest was copied" in out
    assert [path.name for path in (two / "b" / "runs" / RUN).iterdir()] == ["run.json"]


def what_is_at(place):
    if place.is_symlink():
        return place.readlink()
    return [path.read_text() for path in place.iterdir()] if place.is_dir() else place.read_text()


def damaged(place):
    place.mkdir()
    (place / "run.json").write_text("{")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (damaged, "run.json is not JSON"),
        (lambda place: place.write_text("mine"), "it is no folder of a run"),
        (lambda place: place.symlink_to("nowhere"), "it is no folder of a run"),
    ],
    ids=["damaged", "a file", "a link"],
)
def test_what_is_in_a_run_s_place_and_is_none_stays_and_is_named(two, cli, make, why):
    place = two / "b" / "runs" / RUN
    make(place)
    before = what_is_at(place)
    status, out, _ = cli("results", "merge", "a", "--into", "b")
    assert status == 1 and f"Clash: {RUN}: what is in its place cannot be used: {why}" in out
    assert before == what_is_at(place) and not list((two / "b" / "runs").glob(".*"))


def test_runs_that_differ_in_costs_or_clients_clash(tmp_path):
    for name, changes, correct in (
        ("a", {}, [10, 10]),
        ("b", {"costs": {"bytes_up": 1}, "versions": {"torch": "1"}}, [10, 10]),
        ("c", {"costs": COSTS | {"train_seconds": 9.0}}, [9, 11]),
    ):
        ledger = Ledger(tmp_path / name)
        with ledger.lock():
            save(ledger, record(**changes), tables={"clients": client_rows(correct)})
    said = merge(tmp_path / "b", tmp_path / "a").clashes[0].why
    assert said.startswith("other costs: bytes_down, bytes_up") and said.endswith("(torch None, and 1)")
    assert merge(tmp_path / "c", tmp_path / "a").clashes[0].why == "other clients' scores, in clients.csv"


def test_splits_of_one_name_and_other_content_clash(two, cli):
    for name, text in (("a", "client\n1\n"), ("b", "client\n2\n")):
        (two / name / "partitions").mkdir()
        (two / name / "partitions" / "abc.csv").write_text(text)
    status, out, _ = cli("results", "merge", "a", "--into", "b")
    assert status == 1 and "Clash: partitions/abc.csv: other samples under the same hash" in out
    assert (two / "b" / "partitions" / "abc.csv").read_text() == "client\n2\n"


def test_a_folder_that_is_named_twice_is_merged_once_and_none_goes_among_its_own_runs(two, cli):
    status, out, _ = cli("results", "merge", "a", "a", "--into", "b")
    assert status == 0 and out.count("copied to") == 1
    status, _, err = cli("results", "merge", "a", "--into", "a/runs/x")
    assert status == 2 and "lies among the runs of a" in err and not (two / "a" / "runs" / "x").exists()


def test_packed_runs_come_along(tmp_path, cli):
    full_folder(tmp_path / "a" / "s", methods=("fedavg",), seeds=2)
    full_folder(tmp_path / "b" / "s", methods=("local",), seeds=2)
    assert cli("results", "pack", "b/s", "--into", "packed/s")[0] == 0
    status, out, _ = cli("results", "merge", "a/s", "packed/s", "--into", "all/s")
    assert status == 0 and out.count("2 runs copied") == 2
    assert (tmp_path / "all" / "s" / "leaderboard.csv").read_text().count("\n") == 3
    status, out, _ = cli("results", "merge", "packed/s", "--into", "all/s")
    assert status == 0 and "0 runs copied" in out


def test_packed_runs_with_other_figures_are_named(tmp_path, cli):
    for name, accuracy in (("a", 50.0), ("b", 60.0)):
        folder_with(tmp_path / name / "s", record(accuracy=accuracy))
        assert cli("results", "pack", f"{name}/s", "--into", f"packed-{name}/s")[0] == 0
    status, out, _ = cli("results", "merge", "packed-b/s", "--into", "packed-a/s")
    assert status == 1 and "Clash: runs.json.gz: " in out and "with other figures" in out
