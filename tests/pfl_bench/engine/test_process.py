"""Peak memory on platforms that are not this one."""

import sys
import types

import pytest
import torch

from pfl_bench.engine import process


@pytest.fixture
def no_proc(monkeypatch):
    monkeypatch.setattr(process.Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError()))


@pytest.mark.parametrize(("platform", "expected"), [("darwin", 5000), ("freebsd14", 5000 * 1024)])
def test_macos_counts_in_bytes_and_others_in_kibibytes(no_proc, monkeypatch, platform, expected):
    usage = types.SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: types.SimpleNamespace(ru_maxrss=5000))
    monkeypatch.setitem(sys.modules, "resource", usage)
    monkeypatch.setattr(process.sys, "platform", platform)
    assert process.peak_memory_bytes(torch.device("cpu")) == expected


def test_where_it_cannot_be_measured_there_is_none(no_proc, monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    assert process.peak_memory_bytes(torch.device("cpu")) is None


def test_here_it_is_that_of_this_process():
    assert 10**7 < process.peak_memory_bytes(torch.device("cpu")) < 10**11
