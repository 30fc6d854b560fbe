"""A fixed slice of the generator of bad requests; ``python -m tests.fuzz_requests`` makes as many as you like."""

import pytest

from tests.fuzz_requests import Case, cases, in_process

SLICE = list(cases(250, seed=1))


def test_every_bad_request_is_one_line_with_status_2_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    wrong = {f"{case.kind} {case.words}"[:300]: found for case in SLICE if (found := in_process(case, tmp_path))}
    assert not wrong


def test_the_slice_is_the_same_everywhere_and_has_every_kind():
    assert list(cases(250, seed=1)) == SLICE
    kinds = {case.kind.split()[0] for case in SLICE}
    assert kinds == {"option", "--set", "suite:", "command", "program", "plug-in"}


@pytest.mark.parametrize("words", [("list", "methods"), ("run", "--help")])
def test_what_is_no_refusal_would_be_noticed(words, tmp_path):
    found = in_process(Case("", words), tmp_path)
    assert found[:2] == ["status 0", "no line that begins with 'error: '"]
