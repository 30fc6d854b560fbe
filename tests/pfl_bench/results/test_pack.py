"""Runs in one file give the tables that their folders give; what clashes or is damaged is named."""

import gzip
import os
import threading
import time

import pytest
from pandas.testing import assert_frame_equal

import pfl_bench as pfl
from pfl_bench.errors import RequestError
from pfl_bench.results import pack as packing
from pfl_bench.results import packed
from pfl_bench.results.board.basis import basis_of
from pfl_bench.results.lock import LOCK
from pfl_bench.results.pack import pack
from pfl_bench.results.packed import PACKED, dumps, loads, packed_in
from pfl_bench.results.report.collect import collect
from pfl_bench.results.shared import SharedFolder
from tests.ledgers import folder_with, full_folder, record


@pytest.fixture
def own(tmp_path):
    return full_folder(tmp_path / "own" / "s", scenarios=("a-v1", "b-v1"), seeds=2)


def test_packed_runs_give_the_tables_of_their_folders(tmp_path, own, cli):
    status, out, _ = cli("results", "pack", "own/s", "--into", "packed/s")
    assert status == 0 and "12 runs packed, beside 0 that it had" in out
    whole, packed = pfl.load(own), pfl.load(tmp_path / "packed" / "s")
    assert_frame_equal(packed.leaderboard(), whole.leaderboard())
    for name, key in (("clients", ["run_id", "client"]), ("curves", ["run_id", "split", "visits"])):
        one, other = (getattr(each, name).sort_values(key, ignore_index=True) for each in (packed, whole))
        assert len(one) and assert_frame_equal(one[list(other)], other, check_dtype=False) is None
    assert cli("leaderboard", "--suite", "s", "--out", "own", "--format", "csv,md")[0] == 0
    assert cli("leaderboard", "--suite", "s", "--out", "packed", "--format", "csv,md")[0] == 0
    for name in ("leaderboard.csv", "leaderboard.md", "runs.csv"):
        assert (tmp_path / "packed" / "s" / name).read_text() == (own / name).read_text()
    assert len(collect(tmp_path / "packed" / "s").history) == len(collect(own).history) > 0
    assert basis_of(tmp_path / "packed" / "s").tables.keys() == basis_of(own).tables.keys()


def test_more_runs_are_packed_beside_those_that_are_there(tmp_path, own, cli):
    into, further = tmp_path / "packed", full_folder(tmp_path / "further", scenarios=("c-v1",), seeds=2)
    assert pack(own, into).added == 12
    once = (into / PACKED).read_bytes()
    assert pack(own, into).added == 0 and (into / PACKED).read_bytes() == once
    assert pack(further, into).runs == 18
    assert list(pfl.load(into).leaderboard()["scenario"].unique()) == ["a-v1", "b-v1", "c-v1"]
    assert cli("results", "validate", "packed")[0] == 0


def test_who_packs_into_the_same_folder_is_waited_for(tmp_path, monkeypatch):
    into = tmp_path / "into"
    sources = [folder_with(tmp_path / str(seed), record(seed=seed)) for seed in (0, 1)]
    ready = threading.Event()

    def meanwhile() -> None:
        with SharedFolder(into).lock():
            ready.set()
            time.sleep(0.3)
            packing._add(tables_of(sources[0]), into)

    other = threading.Thread(target=meanwhile)
    other.start()
    ready.wait()
    assert pack(sources[1], into).runs == 2
    other.join()
    assert sorted(path.name for path in into.iterdir() if path.name != LOCK) == [PACKED]
    monkeypatch.setattr(packing, "PATIENCE", 0.0)
    with SharedFolder(into).lock(), pytest.raises(RequestError, match="^another run is writing to"):
        pack(sources[1], into)


def tables_of(folder):
    pack(folder, folder.parent / "alone")
    return packed_in(folder.parent / "alone")


def test_a_run_with_a_folder_is_read_from_there(tmp_path):
    folder_with(tmp_path / "s", record("local"), record(accuracy=40.0))
    assert pack(tmp_path / "s", tmp_path / "s").runs == 2
    folder_with(tmp_path / "s", record(accuracy=70.0))
    found = pfl.load(tmp_path / "s").runs.set_index("method")["accuracy"]
    assert found.to_dict() == {"local": 50.0, "fedavg": 70.0}


def test_clashes_unfinished_runs_and_damage_are_refused(tmp_path):
    into = tmp_path / "into"
    pack(folder_with(tmp_path / "a", record()), into)
    with pytest.raises(RequestError, match=r"^pack: fedavg-s0-\w+ is in .* with other figures"):
        pack(folder_with(tmp_path / "b", record(accuracy=51.0)), into)
    with pytest.raises(RequestError, match="^pack: no run in .* has ended$"):
        pack(folder_with(tmp_path / "c", record(status="unfinished")), into)
    for content in (b"", b"{}", (into / PACKED).read_bytes()[:-20]):
        (into / PACKED).write_bytes(content)
        with pytest.raises(RequestError, match=r"runs\.json\.gz is damaged"):
            pfl.load(into)


def test_scores_that_are_not_those_of_the_clients_are_found(tmp_path, own, cli):
    pack(own, tmp_path / "packed")
    place = tmp_path / "packed" / PACKED
    tables = loads(place.read_bytes())
    tables["runs"].loc[0, "client_mean"] += 1
    place.write_bytes(dumps(tables))
    status, out, _ = cli("results", "validate", "packed")
    assert status == 1 and f"{tables['runs'].loc[0, 'run_id']} has" in out


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_what_never_begins_or_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / packed.PACKED)
    with pytest.raises(RequestError, match="no regular file"):
        packed.packed_in(tmp_path)
    monkeypatch.setattr(packed, "MOST_TEXT_BYTES", 1000)
    (tmp_path / packed.PACKED).unlink()
    (tmp_path / packed.PACKED).write_bytes(gzip.compress(b" " * 2000))
    with pytest.raises(RequestError, match="it unpacks to more than"):
        packed.packed_in(tmp_path)
