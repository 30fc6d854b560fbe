"""Who computes which run, when several drivers share a folder."""

import multiprocessing
import signal

import pytest

from pfl_bench.results.holds import HOLDS, Holds
from pfl_bench.results.ledger import Ledger


def _hold(folder, ready):
    assert Holds(folder).take("a-run")
    ready.set()
    signal.pause()


def test_a_run_has_one_driver_at_a_time(tmp_path):
    one, other = Holds(tmp_path), Holds(tmp_path)
    assert one.take("a") and one.take("a") and not other.take("a") and not other.is_free("a")
    assert other.take("b") and one.is_free("a") and not one.is_free("b")
    one.give_back("a")
    assert other.is_free("a") and other.take("a")
    other.give_all_back()
    assert not (tmp_path / HOLDS).exists(), "nothing is left behind"


def test_the_system_takes_a_killed_driver_s_runs_from_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    driver = context.Process(target=_hold, args=(tmp_path, ready))
    driver.start()
    assert ready.wait(60)
    own = Holds(tmp_path)
    assert not own.take("a-run")
    driver.kill()
    driver.join()
    assert own.take("a-run")
    own.give_all_back()
    assert not (tmp_path / HOLDS).exists()


def test_who_opened_a_hold_that_is_removed_meanwhile_does_not_have_it(tmp_path, monkeypatch):
    """Between opening the folder and locking it, its holder may finish and remove it."""
    import fcntl

    one, late, third = Holds(tmp_path), Holds(tmp_path), Holds(tmp_path)
    assert one.take("a")
    flock = fcntl.flock

    def meanwhile(descriptor, how):
        monkeypatch.setattr(fcntl, "flock", flock)
        one.give_back("a")
        assert third.take("a")
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", meanwhile)
    assert not late.take("a")
    third.give_all_back()
    assert late.take("a")


def test_what_a_driver_is_writing_is_not_mended_by_another(tmp_path):
    ledger, other = Ledger(tmp_path), Ledger(tmp_path)
    assert ledger.take("a-s0-0")
    half = ledger.runs / ".a-s0-0.new"
    half.mkdir()
    with other.lock():
        assert half.is_dir()
    ledger.give_back("a-s0-0")
    with other.lock():
        assert not half.exists()


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_who_waits_for_the_lock_waits_so_long(tmp_path, seconds):
    ledger, other = Ledger(tmp_path), Ledger(tmp_path)
    with ledger.lock():
        with ledger.lock():
            pass  # who has it may ask again
        with pytest.raises(ValueError, match="another run is writing to"), other.lock(seconds):
            pass
