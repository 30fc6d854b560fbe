import json
import multiprocessing
import shutil
from pathlib import Path

import pytest

from pfl_bench.errors import RequestError
from pfl_bench.results.ledger import Ledger, check_writable
from pfl_bench.results.record import Unreadable, read_record
from tests.ledgers import id_of, record

RECORD = record(value=float("nan"))
OTHER = record("b")
A, B = id_of(RECORD), id_of(OTHER)
UNFINISHED = record(status="unfinished")


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "suite")


def test_a_run_is_one_folder_of_text(ledger):
    with ledger.lock():
        ledger.save(A, RECORD, history=[{"x": 1, "y": "p,q"}], tables={"clients": [{"c": 0}]})
    folder = ledger.runs / A
    assert sorted(p.name for p in folder.iterdir()) == ["clients.csv", "history.csv", "run.json"]
    assert (folder / "history.csv").read_text() == 'x,y\n1,"p,q"\n'
    assert json.loads((folder / "run.json").read_text())["value"] is None, "JSON has no NaN"
    assert ledger.is_final(A) and not ledger.is_final("b")


def test_result_replaces_checkpoint(ledger):
    with ledger.lock():
        ledger.save(A, UNFINISHED, checkpoint=b"123")
        assert ledger.checkpoint(A) == b"123" and not ledger.is_final(A)
        ledger.save(A, RECORD)
        assert ledger.checkpoint(A) is None and ledger.is_final(A)
    assert [p.name for p in ledger.runs.iterdir()] == [A]


@pytest.mark.parametrize("status", ["failed", "unfinished"])
def test_failed_and_unfinished_runs_are_repeated(ledger, status):
    with ledger.lock():
        ledger.save(A, record(status=status), error="trace")
    assert not ledger.is_final(A)


def test_a_full_disk_leaves_what_was_there(ledger, monkeypatch):
    with ledger.lock():
        ledger.save(A, UNFINISHED, checkpoint=b"old")
        write = Path.write_bytes

        def full(self, data):
            write(self, data[:1])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            ledger.save(A, UNFINISHED, checkpoint=b"new")
    assert ledger.checkpoint(A) == b"old"
    assert [p.name for p in ledger.runs.iterdir()] == [A]


@pytest.mark.parametrize("moment", ["before run.json", "after run.json", "old moved away", "old not removed"])
def test_a_driver_killed_while_writing_leaves_one_whole_run(ledger, moment):
    with ledger.lock():
        ledger.save(A, UNFINISHED, checkpoint=b"old")
        ledger.save(B, record("b"))
    new, old, place = (ledger.runs / name for name in (f".{A}.new", f".{A}.old", A))
    shutil.copytree(place, new)
    finished = {"schema": 1, "id": A, **record()}
    (new / "run.json").write_text(json.dumps(finished))
    if moment == "before run.json":
        (new / "run.json").write_text('{"schema": 1, "sta')
    elif moment == "old moved away":
        place.rename(old)
    elif moment == "old not removed":
        place.rename(old)
        new.rename(place)
    with ledger.lock():
        pass
    assert sorted(p.name for p in ledger.runs.iterdir()) == sorted([A, B])
    status = read_record(place).status
    assert status == ("unfinished" if moment in ("before run.json", "after run.json") else "finished")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 99}', '{"status": "finished"}'])
def test_damaged_records_do_not_count(ledger, text):
    with ledger.lock():
        ledger.save(A, RECORD)
    (ledger.runs / A / "run.json").write_text(text)
    assert not ledger.is_final(A)


def _hold(folder, ready, done):
    with Ledger(folder).lock():
        ready.set()
        done.wait(20)


def test_second_driver_is_refused(ledger):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(ledger.folder, ready, done))
    holder.start()
    try:
        assert ready.wait(60)
        with pytest.raises(RequestError, match="another run is writing to"), ledger.lock():
            pass
    finally:
        done.set()
        holder.join()
    with ledger.lock():
        pass


def test_unwritable_places_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="is not a writable folder"):
        check_writable(tmp_path / "file" / "results")
    check_writable(tmp_path / "new" / "deep")
    assert not (tmp_path / "new").exists(), "checking writes nothing"


def test_a_run_on_something_else_is_kept_aside_once_its_successor_is_there(ledger, monkeypatch):
    with ledger.lock():
        ledger.save(A, RECORD)
        before = (ledger.runs / A / "run.json").read_text()
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", lambda self, data: (_ for _ in ()).throw(OSError(28, "full")))
            with pytest.raises(OSError, match="full"):
                ledger.save(A, UNFINISHED, checkpoint=b"new", aside="the data")
        assert ledger.is_final(A) and not (ledger.folder / "aside").exists(), "nothing is lost by a full disk"
        ledger.save(A, UNFINISHED, checkpoint=b"new", aside="the data")
        ledger.save(A, RECORD, aside="the split")
    aside = ledger.folder / "aside"
    assert sorted(p.name for p in aside.iterdir()) == [f"{A}.1", f"{A}.2"] and ledger.is_final(A)
    assert (aside / f"{A}.1" / "run.json").read_text() == before
    assert json.loads((aside / f"{A}.2" / "aside.json").read_text()) == {"computed_on_other": "the split"}


def test_a_run_copied_under_another_name_does_not_count(ledger):
    with ledger.lock():
        ledger.save(A, RECORD)
    shutil.copytree(ledger.runs / A, ledger.runs / f"{A} copy")
    with pytest.raises(Unreadable, match=f"run.json is of the run '{A}': a copy, or renamed"):
        read_record(ledger.runs / f"{A} copy")
    assert ledger.is_final(A) and not ledger.is_final(f"{A} copy")


@pytest.mark.parametrize("status", ["unfinished", "failed"])
def test_a_final_run_gives_way_to_a_final_one_only(ledger, status):
    with ledger.lock():
        ledger.save(A, RECORD)
        ledger.save(A, record(status=status), checkpoint=b"1", error="trace")
        assert ledger.is_final(A) and ledger.begun(A).status == status
        assert ledger.checkpoint(A) == b"1" and ledger.error_file(A).read_text() == "trace"
    with ledger.lock():
        assert ledger.begun(A) is not None, "the next driver still has it"
        ledger.save(A, record(reason="newer"))
    assert ledger.record(A).reason == "newer"
    assert [p.name for p in ledger.runs.iterdir()] == [A]


KINDS = ["a file", "a foreign folder", "a dangling link", "a link to a folder", "ours, cut off"]


def put(path: Path, kind: str) -> None:
    if kind == "a file":
        path.write_text("mine")
    elif kind == "a dangling link":
        path.symlink_to(path.parent / "nowhere")
    elif kind == "a link to a folder":
        (path.parent.parent.parent / "elsewhere").mkdir(exist_ok=True)
        path.symlink_to(path.parent.parent.parent / "elsewhere")
    else:
        path.mkdir()
        (path / ("run.json" if kind == "ours, cut off" else "thesis.tex")).write_text("mine")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [A, f".{A}.new", f".{A}.old", f".{A}.next"])
@pytest.mark.parametrize("there", [False, True], ids=["alone", "beside a finished run"])
def test_what_stands_in_the_way_costs_no_run(ledger, name, kind, there):
    """In version 1 each of these kept its run from being finished for ever."""
    if there and name == A:
        return
    with ledger.lock():
        if there:
            ledger.save(A, RECORD)
    put(ledger.runs / name, kind)
    with ledger.lock():
        assert ledger.is_final(A) == there
        ledger.save(A, UNFINISHED, checkpoint=b"1")
        assert ledger.checkpoint(A) == b"1"
        ledger.save(A, record(reason="newer"))
    assert ledger.record(A).reason == "newer"
    assert [p.name for p in ledger.runs.iterdir()] == [A]
    if kind == "ours, cut off":
        assert not ledger.aside.exists() and not ledger.moved
    else:
        (kept,) = ledger.aside.iterdir()
        assert kept.name == f"{name}.1" and f"runs/{name} stood in the way" in ledger.moved[0]
        assert kept.is_symlink() or "mine" in (kept if kept.is_file() else kept / "thesis.tex").read_text()


def test_notes_in_a_run_s_folder_are_not_deleted_with_it(ledger):
    with ledger.lock():
        ledger.save(A, UNFINISHED, checkpoint=b"1")
        (ledger.runs / A / "notes.md").write_text("mine")
        ledger.save(A, RECORD)
    assert ledger.is_final(A) and (ledger.aside / f"{A}.1" / "notes.md").read_text() == "mine"


def test_a_driver_killed_between_two_renames_beside_something_foreign(ledger):
    with ledger.lock():
        ledger.save(A, RECORD)
    (ledger.runs / A).rename(ledger.runs / f".{A}.old")
    put(ledger.runs / A, "a file")
    with ledger.lock():
        assert ledger.is_final(A)
    assert (ledger.aside / f"{A}.1").read_text() == "mine"


def test_a_second_driver_is_refused_though_the_lock_s_file_was_removed(ledger):
    with ledger.lock():
        (ledger.folder / ".lock").unlink()
        with pytest.raises(RequestError, match="another run is writing to"), Ledger(ledger.folder).lock():
            pass
        ledger.save(A, RECORD)
        assert (ledger.folder / ".lock").exists(), "whoever looks for the file finds it again"
    with Ledger(ledger.folder).lock():
        pass


def test_where_folders_cannot_be_locked_the_file_is_looked_at_before_every_write(ledger, monkeypatch):
    """As on NFS."""
    monkeypatch.setattr("pfl_bench.results.lock.fcntl", None)
    other = Ledger(ledger.folder)
    with ledger.lock():
        (ledger.folder / ".lock").unlink()
        with other.lock():
            other.save(B, OTHER)
            with pytest.raises(RequestError, match="another run is writing to"):
                ledger.save(A, RECORD)
        ledger.save(A, RECORD)
    assert ledger.is_final(A) and ledger.is_final(B)


def test_a_folder_that_is_removed_meanwhile_is_made_anew_unless_it_is_another_driver_s_by_then(ledger):
    with ledger.lock():
        ledger.save(A, RECORD)
        shutil.rmtree(ledger.folder)
        ledger.save(B, OTHER)
        assert ledger.is_final(B) and not ledger.is_final(A)
        with pytest.raises(RequestError, match="another run is writing to"), Ledger(ledger.folder).lock():
            pass
        shutil.rmtree(ledger.folder)
        with Ledger(ledger.folder).lock(), pytest.raises(RequestError, match="another run is writing to"):
            ledger.save(B, OTHER)
