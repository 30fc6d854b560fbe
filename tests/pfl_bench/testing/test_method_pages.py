from pathlib import Path

import pytest

from pfl_bench.registry import METHODS
from pfl_bench.testing.method_pages import main, page, pins, traffic

ROOT = Path(__file__).parents[3]
BUILT_IN = sorted(p.stem for p in (ROOT / "methods").glob("[!_]*.py"))


@pytest.mark.parametrize("method", BUILT_IN)
def test_pages_are_those_of_the_code(method):
    """Made again with ``python -m pfl_bench.testing.method_pages docs/methods``."""
    assert (ROOT / "docs" / "methods" / f"{method}.md").read_text() == page(method, ROOT / "tests")


@pytest.mark.parametrize("method", BUILT_IN)
def test_something_beside_the_kit_pins_every_method(method):
    assert list(pins(method, ROOT / "tests"))


def test_traffic_is_what_the_papers_say():
    assert traffic("fedavg")[:2] == traffic("pfedhn")[:2] == (1.0, 1.0)
    assert traffic("local")[:2] == (0.0, 0.0)
    assert traffic("fedper")[:2] == traffic("pfedhn_pc")[:2] and 0 < traffic("fedper")[0] < 1


def test_only_registered_methods_have_pages():
    pages = {p.stem for p in (ROOT / "docs" / "methods").glob("*.md")} - {"README"}
    assert pages == set(BUILT_IN) <= set(METHODS.names())


def test_help_and_wrong_requests_write_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--help"]) == 0 and "A short page per method" in capsys.readouterr().out
    for words in ([], ["a", "b"], ["--nope"], ["pages"]):
        assert main(words) == 2
        line = capsys.readouterr().err
        assert line.startswith("error: ") and line.count("\n") == 1
    assert not list(tmp_path.iterdir())
