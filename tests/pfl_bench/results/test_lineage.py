from pathlib import Path

import pytest

from pfl_bench.results import lineage
from pfl_bench.results.lineage import code_identity, differences

PUBLISHED = Path(__file__).parents[3] / "results" / "published"


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """Two texts of one file give the same numbers; nothing else is known."""
    table = {"methods/fedavg.py": frozenset({"old", "new"}), "models/mlp.py": frozenset({"m"})}
    monkeypatch.setattr(lineage, "vouched", lambda: table)


PRESENT = {"method:methods/fedavg.py": "new", "model:models/mlp.py": "m"}


def test_texts_that_give_the_same_numbers_are_the_same_code():
    assert differences({"sources": {**PRESENT, "method:methods/fedavg.py": "old"}}, PRESENT) == []
    assert (
        code_identity({"sources": PRESENT}) == code_identity({"method": "fedavg", "method_source_sha256": "old"}) == ""
    )


def test_anything_else_is_other_code():
    edited = {"sources": {**PRESENT, "method:methods/fedavg.py": "edited"}}
    assert differences(edited, PRESENT) == ["the method's source (methods/fedavg.py)"]
    assert differences({"sources": {**PRESENT, "helper:h.py": "x"}}, PRESENT) == ["a helper's source (h.py)"]
    assert code_identity(edited) not in ("", code_identity({"sources": {"method:methods/fedavg.py": "again"}}))


def test_runs_of_version_1_recorded_their_methods_file_only():
    old = {"method": "fedavg", "method_source_sha256": "old"}
    assert differences(old, PRESENT) == []
    assert differences({**old, "method_source_sha256": "x"}, PRESENT) == ["the method's source (methods/fedavg.py)"]
    with_plugin = {**PRESENT, "model:net.py": "n"}
    assert differences(old, with_plugin) == ["the client model's source (net.py)"], "it is not known to be the same"
    assert differences({"method": "mine", "method_source_sha256": "t"}, {"method:mine.py": "t"}) == []
