"""A thread that only runs when it is resumed."""

import threading

import pytest
import torch

from pfl_bench.engine import clock
from pfl_bench.engine.events import Failure
from pfl_bench.running.lockstep.strand import Answer, Asked, Ended, Said, Strand


def test_it_tells_asks_and_ends_by_turns():
    seen = []

    def work(strand):
        seen.append("began")
        yield Failure("one", "")
        with torch.no_grad():
            seen.append(strand.ask("what?"))
        seen.append(torch.is_grad_enabled())
        yield Failure("two", "")

    strand = Strand(work)
    assert seen == []
    with torch.no_grad():  # a thread has a mode of its own
        assert isinstance(strand.resume(), Said) and seen == ["began"]
    assert strand.resume() == Asked("what?", False)
    assert isinstance(strand.resume(Answer("that")), Said) and seen == ["began", "that", True]
    assert strand.resume() == Ended() and strand.over


def test_an_exception_goes_where_the_question_was_asked():
    def work(strand):
        try:
            strand.ask(1)
        except ValueError as error:
            yield Failure(str(error), "")
        raise KeyError("mine")

    strand = Strand(work)
    strand.resume()
    assert strand.resume(Answer(error=ValueError("no"))) == Said(Failure("no", ""))
    ended = strand.resume()
    assert isinstance(ended, Ended) and isinstance(ended.error, KeyError)


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_closing_ends_it_where_it_waits(turns):
    left = []

    def work(strand):
        try:
            yield Failure("one", "")
            strand.ask(1)
            yield Failure("never", "")
        finally:
            left.append(True)

    before, strand = threading.active_count(), Strand(work)
    for _ in range(turns):
        strand.resume()
    strand.close()
    assert left == [True] * (turns > 0) and threading.active_count() == before


def test_time_of_others_is_left_out_and_a_share_counted():
    spent = []

    def work(strand):
        started = clock.now()
        strand.ask(1)
        spent.append(clock.now() - started)
        yield Failure("", "")

    strand = Strand(work)
    strand.resume()
    threading.Event().wait(0.2)
    strand.resume(Answer(seconds=0.05))
    strand.close()
    assert spent[0] == pytest.approx(0.05, abs=0.04)
