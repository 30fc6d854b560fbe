import json
import subprocess

import pytest

from pfl_bench.running import provenance
from pfl_bench.running.provenance import Commit, commit


@pytest.fixture(autouse=True)
def asked_anew():
    commit.cache_clear()
    yield
    commit.cache_clear()


def test_a_commit_is_recorded_as_it_is():
    assert Commit("abc").as_record() == {"git_commit": "abc"}


def test_git_that_refuses_another_owners_checkout_is_quoted(monkeypatch):
    def refuse(*args, **kwargs):
        raise subprocess.CalledProcessError(
            128, "git", stderr="fatal: detected dubious ownership\nin '/x'\x1b[0m\n" * 99
        )

    monkeypatch.setattr(subprocess, "run", refuse)
    found = commit().as_record()
    assert found["git_commit"] == "" and len(json.dumps(found)) < 500
    assert found["git_commit_unknown_because"].startswith("git: fatal: detected dubious ownership in '/x'")


@pytest.mark.parametrize(
    ("error", "why"), [(FileNotFoundError(2, "no git"), "no git"), (subprocess.TimeoutExpired("git", 20), "timed out")]
)
def test_git_that_cannot_be_asked(monkeypatch, error, why):
    monkeypatch.setattr(provenance, "_git", lambda *arguments: (_ for _ in ()).throw(error))
    assert commit().name == "" and why in commit().unknown_because
