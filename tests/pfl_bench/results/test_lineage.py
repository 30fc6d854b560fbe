from types import SimpleNamespace

import pytest

from pfl_bench.results import lineage
from pfl_bench.results.lineage import code_identity, differences


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """Two texts of one file give the same numbers; nothing else is known."""
    table = {"methods/fedavg.py": frozenset({"old", "new"}), "models/mlp.py": frozenset({"m"})}
    monkeypatch.setattr(lineage, "vouched", lambda: table)


PRESENT = {"method:methods/fedavg.py": "new", "model:models/mlp.py": "m"}


def run(sources=None, method="fedavg", method_source=None):
    """What is read of a record; without ``sources`` it is one of version 1."""
    return SimpleNamespace(method=method, method_source_sha256=method_source, sources=sources or {})


def test_texts_that_give_the_same_numbers_are_the_same_code():
    assert differences(run({**PRESENT, "method:methods/fedavg.py": "old"}), PRESENT) == []
    assert code_identity(run(PRESENT)) == code_identity(run(method_source="old")) == ""


def test_anything_else_is_other_code():
    edited = run({**PRESENT, "method:methods/fedavg.py": "edited"})
    assert differences(edited, PRESENT) == ["the method's source (methods/fedavg.py)"]
    helped = run({**PRESENT, "method helper:h.py": "x"})
    assert differences(helped, PRESENT) == ["a helper of the method (h.py)"]
    assert differences(helped, {**PRESENT, "method helper:h.py": "y"}) == ["a helper of the method (h.py)"]
    assert code_identity(edited) not in ("", code_identity(run({"method:methods/fedavg.py": "again"})))


def test_a_part_has_an_identity_of_its_own():
    edited = run({**PRESENT, "model:net.py": "n", "model helper:layers.py": "l"})
    assert code_identity(edited, "method") == "" != code_identity(edited, "model")
    assert code_identity(edited, "method", "model") == code_identity(edited)
    without = run({**PRESENT, "model:net.py": "n"})
    assert code_identity(without, "model") != code_identity(edited, "model")


def test_runs_of_version_1_recorded_their_methods_file_only():
    old = run(method_source="old")
    assert differences(old, PRESENT) == []
    assert differences(run(method_source="x"), PRESENT) == ["the method's source (methods/fedavg.py)"]
    with_plugin = {**PRESENT, "model:net.py": "n"}
    assert differences(old, with_plugin) == ["the client model's source (net.py)"], "it is not known to be the same"


def test_a_plug_in_is_known_by_its_text_wherever_it_lies():
    of_version_1, now = run(method="mine", method_source="t"), run({"method:mine.py": "t"}, "mine")
    assert differences(of_version_1, now.sources) == differences(now, {"method:renamed.py": "t"}) == []
    assert code_identity(of_version_1) == code_identity(now) != ""
    assert differences(of_version_1, {"method:mine.py": "u"}) == ["the method's source (mine.py)"]


def test_what_cannot_be_read_is_never_known_to_be_the_same():
    unread = {"method:notebook": ""}
    assert differences(run(unread), unread) == ["the method's source (notebook)"]
