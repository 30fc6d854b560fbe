from pathlib import Path

import pytest

from pfl_bench.registry import METHODS
from pfl_bench.testing.method_index import index, measure, needs, pins
from pfl_bench.testing.method_pages import page

ROOT = Path(__file__).parents[3]
BUILT_IN = sorted(e.name for e in METHODS if METHODS.get(e.name).__module__.startswith("pfl_bench.methods."))


@pytest.mark.parametrize("method", BUILT_IN)
def test_pages_are_those_of_the_code(method):
    """Made again with ``pfl-bench pages docs/methods``."""
    assert (ROOT / "docs" / "methods" / f"{method}.md").read_text() == page(method, ROOT / "tests")


@pytest.mark.parametrize("method", BUILT_IN)
def test_something_beside_the_kit_pins_every_method(method):
    assert list(pins(method, ROOT / "tests"))


def test_the_index_is_that_of_the_code():
    assert (ROOT / "docs" / "methods" / "README.md").read_text() == index(ROOT / "tests")


def test_traffic_and_state_are_what_the_papers_say():
    fedavg, local, fedper, ditto = map(measure, ("fedavg", "local", "fedper", "ditto"))
    assert (fedavg.down, fedavg.up, fedavg.own, fedavg.shared) == (1, 1, 0, 1)
    assert (local.down, local.up, local.own) == (0, 0, 1)
    assert 0 < fedper.down == fedper.up == fedper.shared < 1 and fedper.own == pytest.approx(1 - fedper.down)
    assert (ditto.down, ditto.own, ditto.shared) == (1, 1, 1)
    assert measure("pfedhn").down == 1 and measure("pfedhn_pc").down == fedper.down


def test_needs_are_read_from_the_source():
    assert needs("fedavg") == [] and "features" in needs("fedproto") and "class counts" in needs("fedpac")


def test_only_registered_methods_have_pages():
    pages = {p.stem for p in (ROOT / "docs" / "methods").glob("*.md")} - {"README"}
    assert pages == set(BUILT_IN) <= set(METHODS.names())


def test_help_and_wrong_requests_write_nothing(tmp_path, cli):
    status, out, _ = cli("pages", "--help")
    assert status == 0 and "Write a page per method" in out
    for words in ([], ["a", "b"], ["--nope"], ["pages"]):
        status, _, line = cli("pages", *words)
        assert status == 2 and line.startswith("error: ") and line.count("\n") == 1
    assert not list(tmp_path.iterdir())
